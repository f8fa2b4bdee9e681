;; Memory that threads share.
;; ends: refused component-invalid
(component (core module (memory 1 2 shared)))
