;; Makes handles of a resource of its own for ever.
;; ends: limit handles 10000
;; used: fuel 29999, border 0
(component
  (type $r (resource (rep i32)))
  (core func $new (canon resource.new $r))
  (core module $m
    (import "own" "new" (func $new (param i32) (result i32)))
    (func $begin (loop (drop (call $new (i32.const 1))) (br 0)))
    (start $begin))
  (core instance (instantiate $m (with "own" (instance (export "new" (func $new)))))))
