;; Draws numbers for ever.
;; ends: limit border_bytes 1048576
;; used: fuel 131079, border 1048592
;; limits: border_bytes=1048576
(import "fangshi:host/random@0.1.0" "next" (func $next (result i32)))
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (loop (drop (call $next)) (br 0)) unreachable)
