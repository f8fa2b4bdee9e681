;; Asks for 4 GiB at once and gives up.
;; ends: limit memory_bytes 8388608
;; used: fuel 17, border 0
;; limits: memory_bytes=8388608
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (br_if 0 (call $done) (i32.ne (memory.grow (i32.const 65535)) (i32.const -1))) unreachable)
