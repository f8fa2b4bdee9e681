;; Hands over lists of empty texts for ever.
;; ends: limit border_bytes 1048576
;; used: fuel 261, border 1120397
;; limits: border_bytes=1048576
(import "fangshi:store/real-number@0.1.0" "apply" (func $apply (param i32 i32 i32 i32 i32 i32 i32 i32)))
(memory (export "memory") 64)
(data (i32.const 2048) "3732676853715311104")
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (loop
    (call $apply (i32.const 2048) (i32.const 19) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0x100000) (i32.const 20000)
      (i32.const 8))
    (br 0))
  unreachable)
