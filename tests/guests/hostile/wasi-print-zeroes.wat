;; Prints as many zeroes as there are numbers.
;; ends: trap cannot write more zeroes
;; used: fuel 17, border 65568
(import "wasi:cli/stdout@0.2.3" "get-stdout" (func $stdout (result i32)))
(import "wasi:io/streams@0.2.3" "[method]output-stream.write-zeroes" (func $zeroes (param i32 i64 i32)))
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (call $zeroes (call $stdout) (i64.const -1) (i32.const 1100)) unreachable)
