;; Two memories in one module.
;; ends: refused component-invalid
(component (core module (memory 1) (memory 1)))
