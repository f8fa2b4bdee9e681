;; Memory of 64 bits.
;; ends: refused component-invalid
(component (core module (memory i64 1)))
