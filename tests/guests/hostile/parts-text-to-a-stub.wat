;; A stub has a memory without a page: a text that is passed to it ends the run before a byte is copied.
;; ends: trap out-of-bounds
;; used: fuel 57, border 0
(component
  (component $callee
    (core module $m
      (memory (export "memory") 0)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0))
      (func (export "take") (param i32 i32)))
    (core instance $i (instantiate $m))
    (func (export "take") (param "text" string)
      (canon lift (core func $i "take") (memory (core memory $i "memory")) (realloc (core func $i "realloc")))))
  (component $caller
    (import "take" (func $take (param "text" string)))
    (core module $memory (memory (export "memory") 1))
    (core instance $memory (instantiate $memory))
    (core func $lowered (canon lower (func $take) (memory (core memory $memory "memory"))))
    (core module $m
      (import "callee" "take" (func $take (param i32 i32)))
      (func $begin (loop (call $take (i32.const 0) (i32.const 65536)) (br 0)))
      (start $begin))
    (core instance (instantiate $m (with "callee" (instance (export "take" (func $lowered)))))))
  (instance $callee (instantiate $callee))
  (instance (instantiate $caller (with "take" (func $callee "take")))))
