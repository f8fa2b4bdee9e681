;; Takes all memory before its hook.
;; ends: limit memory_bytes 8388608
;; used: fuel 83, border 0
;; limits: memory_bytes=8388608
(func $begin (loop (br_if 0 (i32.ne (memory.grow (i32.const 8)) (i32.const -1)))) unreachable)
(start $begin)
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (call $done))
