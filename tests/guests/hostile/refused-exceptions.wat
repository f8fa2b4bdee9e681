;; A tag to throw.
;; ends: refused component-invalid
(component (core module (tag (param i32))))
