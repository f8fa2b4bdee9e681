;; Calls itself through a table.
;; ends: limit stack 524288
;; used: fuel 43644, border 0
(type $f (func (param i64) (result i64)))
(table 1 funcref)
(elem (i32.const 0) func $deep)
(func $deep (type $f) (i64.add (call_indirect (type $f) (local.get 0) (i32.const 0)) (i64.const 1)))
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (drop (call $deep (i64.const 0))) (call $done))
