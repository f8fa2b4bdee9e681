;; Every call is refused, and made again at once.
;; ends: limit host_calls 1000
;; used: fuel 17023, border 40040
;; host: refuses
(import "fangshi:store/notes@0.1.0" "set-merchant-notes" (func $note (param i32 i32 i32 i32 i32)))
(data (i32.const 2048) "3732676853715311104")
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (loop (global.set $heap (i32.const 16384)) (call $note (i32.const 2048) (i32.const 19) (i32.const 2048) (i32.const 5) (i32.const 8)) (br 0)) unreachable)
