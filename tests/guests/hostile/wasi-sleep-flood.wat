;; Sleeps an hour for ever.
;; ends: limit border_bytes 1048576
;; used: fuel 262152, border 1048592
;; limits: border_bytes=1048576
(import "wasi:clocks/monotonic-clock@0.2.3" "subscribe-duration" (func $sleep (param i64) (result i32)))
(import "wasi:io/poll@0.2.3" "[method]pollable.block" (func $block (param i32)))
(import "wasi:io/poll@0.2.3" "[resource-drop]pollable" (func $drop (param i32)))
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (local $handle i32)
  (loop
    (local.set $handle (call $sleep (i64.const 3600000000000)))
    (call $block (local.get $handle))
    (call $drop (local.get $handle))
    (br 0))
  unreachable)
