;; Writes a note for ever.
;; ends: limit host_calls 1000
;; used: fuel 15021, border 40040
(import "fangshi:store/notes@0.1.0" "set-merchant-notes" (func $note (param i32 i32 i32 i32 i32)))
(data (i32.const 2048) "3732676853715311104")
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (loop (call $note (i32.const 2048) (i32.const 19) (i32.const 2048) (i32.const 5) (i32.const 8)) (br 0)) unreachable)
