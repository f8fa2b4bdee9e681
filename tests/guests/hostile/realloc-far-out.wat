;; Gives memory that it does not have.
;; ends: trap realloc
;; used: fuel 15, border 18
(import "fangshi:host/settings@0.1.0" "all" (func $all (param i32)))
(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const -8))
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (call $all (i32.const 8)) (call $done))
