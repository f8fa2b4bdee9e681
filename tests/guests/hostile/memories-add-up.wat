;; Three parts, each with a memory of its own that grows: only the sum is over.
;; ends: limit memory_bytes 8388608
;; used: fuel 24, border 0
;; limits: memory_bytes=8388608
(component
  (core module $m
    (memory 1)
    (func $begin (if (i32.eq (memory.grow (i32.const 60)) (i32.const -1)) (then unreachable)))
    (start $begin))
  (core instance (instantiate $m))
  (core instance (instantiate $m))
  (core instance (instantiate $m)))
