;; Reads the same small record of the order for ever.
;; ends: limit border_bytes 1048576
;; used: fuel 131082, border 1048608
;; limits: border_bytes=1048576
(import "fangshi:store/order-summary@0.1.0" "summary" (func $summary (param i32 i32)))
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (loop (call $summary (local.get $order) (i32.const 1104)) (br 0)) unreachable)
