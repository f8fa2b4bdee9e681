;; Exports what is no hook.
;; ends: refused unknown-export
;; form: alone
(component (instance $i) (export "evil:plugin/on-everything@0.1.0" (instance $i)))
