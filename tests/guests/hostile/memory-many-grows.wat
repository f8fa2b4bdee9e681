;; Takes page after page.
;; ends: limit memory_bytes 8388608
;; used: fuel 646, border 0
;; limits: memory_bytes=8388608
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (loop (br_if 0 (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) unreachable)
