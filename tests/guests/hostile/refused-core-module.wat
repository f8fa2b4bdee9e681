;; A core module that is no component.
;; ends: refused core-module
;; form: core
(module $plain (func (export "run")))
