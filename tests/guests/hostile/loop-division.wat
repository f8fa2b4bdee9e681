;; Divides for ever: the slowest of instructions.
;; ends: limit fuel 5000000
;; used: fuel 5000000, border 0
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (loop (drop (i64.div_u (local.get $pay_time) (i64.or (local.get $pay_time) (i64.const 1)))) (br 0)) unreachable)
