;; Reads behind the end of memory.
;; ends: trap out of bounds memory access
;; used: fuel 5, border 0
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (i32.load (i32.const -4)))
