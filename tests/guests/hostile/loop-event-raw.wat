;; Reads the whole event for ever.
;; ends: limit border_bytes 1048576
;; used: fuel 349525, border 1048611
;; limits: border_bytes=1048576
(import "fangshi:host/events@0.1.0" "[method]event.raw" (func $raw (param i32 i32)))
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (loop (global.set $heap (i32.const 16384)) (call $raw (local.get $event) (i32.const 8)) (br 0)) unreachable)
