;; Imports a bare function.
;; ends: refused unknown-import
;; form: alone
(component (import "exit" (func)))
