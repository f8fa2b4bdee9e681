;; Its call is never answered.
;; ends: deadline
;; used: fuel 21, border 40
;; host: never
;; limits: deadline_ms=100
(import "fangshi:store/notes@0.1.0" "set-merchant-notes" (func $note (param i32 i32 i32 i32 i32)))
(data (i32.const 2048) "3732676853715311104")
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (call $note (i32.const 2048) (i32.const 19) (i32.const 2048) (i32.const 5) (i32.const 8)) (call $done))
