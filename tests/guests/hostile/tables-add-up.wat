;; Many tables: only their sum is over.
;; ends: limit table_elements 5000
;; used: fuel 0, border 0
;; limits: table_elements=5000
(component
  (core module $m (table 1500 funcref))
  (core instance (instantiate $m))
  (core instance (instantiate $m))
  (core instance (instantiate $m))
  (core instance (instantiate $m)))
