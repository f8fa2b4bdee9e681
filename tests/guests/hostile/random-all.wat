;; Asks for 4 GiB of random at a time.
;; ends: limit border_bytes 1048576
;; used: fuel 452, border 1048832
;; limits: border_bytes=1048576
(import "fangshi:host/random@0.1.0" "bytes" (func $bytes (param i32 i32)))
(memory (export "memory") 64)
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (loop (global.set $heap (i32.const 65536)) (call $bytes (i32.const -1) (i32.const 8)) (br 0)) unreachable)
