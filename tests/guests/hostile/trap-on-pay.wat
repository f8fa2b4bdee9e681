;; Crashes in `on-pay`, with both handles open.
;; ends: trap unreachable
;; used: fuel 1, border 0
;; hook: on-pay
(module
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable)
  (func (export "fangshi:store/on-pay@0.1.0#handle") (param i32 i32 i64) (result i32) unreachable))
