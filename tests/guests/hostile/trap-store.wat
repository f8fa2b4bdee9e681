;; Writes behind the end of memory, at the farthest offset.
;; ends: trap out of bounds memory access
;; used: fuel 9, border 0
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (i32.store offset=0xffffffff (i32.const -4) (i32.const 1)) (call $done))
