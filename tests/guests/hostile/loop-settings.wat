;; Reads all settings for ever.
;; ends: limit border_bytes 1048576
;; used: fuel 1572873, border 1048590
;; limits: border_bytes=1048576
(import "fangshi:host/settings@0.1.0" "all" (func $all (param i32)))
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (loop (global.set $heap (i32.const 16384)) (call $all (i32.const 8)) (br 0)) unreachable)
