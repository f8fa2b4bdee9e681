;; One part copies a list of 32 MiB into another: every element costs fuel, so a run never gets beyond the first thousand.
;; ends: limit fuel 10000
;; used: fuel 10000, border 0
;; limits: fuel=10000
(component
  (component $callee
    (core module $m
      (memory (export "memory") 600)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0))
      (func (export "take") (param i32 i32) (unreachable)))
    (core instance $i (instantiate $m))
    (func (export "take") (param "bytes" (list u8))
      (canon lift (core func $i "take") (memory (core memory $i "memory")) (realloc (core func $i "realloc")))))
  (component $caller
    (import "take" (func $take (param "bytes" (list u8))))
    (core module $memory (memory (export "memory") 600))
    (core instance $memory (instantiate $memory))
    (core func $lowered (canon lower (func $take) (memory (core memory $memory "memory"))))
    (core module $m
      (import "callee" "take" (func $take (param i32 i32)))
      (func $begin (call $take (i32.const 0) (i32.const 33554432)))
      (start $begin))
    (core instance (instantiate $m (with "callee" (instance (export "take" (func $lowered)))))))
  (instance $callee (instantiate $callee))
  (instance (instantiate $caller (with "take" (func $callee "take")))))
