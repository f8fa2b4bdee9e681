;; Takes standard output and lets it go, for ever.
;; ends: limit border_bytes 1048576
;; used: fuel 196615, border 1048592
;; limits: border_bytes=1048576
(import "wasi:cli/stdout@0.2.3" "get-stdout" (func $stdout (result i32)))
(import "wasi:io/streams@0.2.3" "[resource-drop]output-stream" (func $drop (param i32)))
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (loop (call $drop (call $stdout)) (br 0)) unreachable)
