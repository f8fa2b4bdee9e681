;; Imports the network.
;; ends: refused unknown-import
;; form: alone
(component (import "wasi:http/outgoing-handler@0.2.3" (instance)))
