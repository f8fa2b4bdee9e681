;; Takes page after page and writes to each.
;; ends: limit memory_bytes 8388608
;; used: fuel 5, border 0
;; limits: memory_bytes=8388608
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (local $at i32)
  (loop
    (local.set $at (i32.mul (memory.grow (i32.const 1)) (i32.const 65536)))
    (i32.store (local.get $at) (i32.const -1))
    (br 0))
  unreachable)
