;; Has a hook with other parameters than the contract's.
;; ends: refused other-types
;; form: alone
(component
  (core module $m (func (export "handle")))
  (core instance $i (instantiate $m))
  (func $handle (canon lift (core func $i "handle")))
  (instance $hook (export "handle" (func $handle)))
  (export "fangshi:store/on-pay@0.1.0" (instance $hook)))
