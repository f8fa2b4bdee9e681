;; Types of the garbage collector.
;; ends: refused component-invalid
(component (core module (type (struct (field i32)))))
