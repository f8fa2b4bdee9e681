;; A key of 60,000 bytes: refused, and the run goes on.
;; ends: done
;; used: fuel 47, border 60016
(import "fangshi:host/kv@0.1.0" "get" (func $kv_get (param i32 i32 i32)))
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (call $kv_get (i32.const 0) (i32.const 60000) (i32.const 8)) (call $done))
