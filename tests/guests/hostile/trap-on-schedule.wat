;; Crashes in `on-schedule`, with the event's handle open.
;; ends: trap unreachable
;; used: fuel 3, border 0
;; hook: on-schedule
(module
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
  (func (export "fangshi:host/on-schedule@0.1.0#handle") (param i32 i32 i32 i64) (result i32) unreachable))
