;; Asks for the time for ever.
;; ends: limit border_bytes 1048576
;; used: fuel 131079, border 1048592
;; limits: border_bytes=1048576
(import "fangshi:host/clock@0.1.0" "now" (func $now (result i64)))
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (loop (drop (call $now)) (br 0)) unreachable)
