;; Grows memory by no page for ever.
;; ends: limit fuel 5000000
;; used: fuel 5000000, border 0
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (loop (drop (memory.grow (i32.const 0))) (br 0)) unreachable)
