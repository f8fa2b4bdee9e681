;; A part beside the plugin that never ends its start.
;; ends: limit fuel 5000000
;; used: fuel 5000000, border 0
(component
  (component $inner
    (core module $m (func $begin (loop (br 0))) (start $begin))
    (core instance (instantiate $m)))
  (instance (instantiate $inner)))
