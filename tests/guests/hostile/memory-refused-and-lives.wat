;; Is refused memory, and ends well without it.
;; ends: done
;; used: fuel 20, border 0
;; limits: memory_bytes=8388608
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (drop (memory.grow (i32.const 60000))) (call $done))
