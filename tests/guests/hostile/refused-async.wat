;; A function that is async.
;; ends: refused component-invalid
;; form: alone
(component (import "fangshi:host/log@0.1.0" (instance (export "write" (func async (param "level" u32) (param "text" string))))))
