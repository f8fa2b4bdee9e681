;; Writes another key with every call.
;; ends: limit host_calls 1000
;; used: fuel 32038, border 82082
(import "fangshi:host/kv@0.1.0" "set" (func $kv_set (param i32 i32 i32 i32 i32)))
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (local $n i32)
  (loop
    (i32.store (i32.const 2048) (local.tee $n (i32.add (local.get $n) (i32.const 1))))
    (i32.store8 (i32.const 2049) (i32.and (i32.load8_u (i32.const 2049)) (i32.const 127)))
    (i32.store8 (i32.const 2048) (i32.and (local.get $n) (i32.const 127)))
    (call $kv_set (i32.const 2048) (i32.const 2) (i32.const 0) (i32.const 64) (i32.const 8))
    (br 0))
  unreachable)
