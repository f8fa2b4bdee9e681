;; Grows one table by more than a table may have, though all together may have more.
;; ends: limit table_elements_each 20000
;; used: fuel 25018, border 0
(table $t 0 funcref)
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (br_if 0 (call $done) (i32.ne (table.grow $t (ref.null func) (i32.const 25000)) (i32.const -1))) unreachable)
