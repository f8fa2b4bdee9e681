;; A component that nothing would ever call.
;; ends: refused no-hook
;; form: alone
(component)
