;; Takes table elements until none are left.
;; ends: limit table_elements 5000
;; used: fuel 5412, border 0
;; limits: table_elements=5000
(table $t 0 funcref)
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (loop (br_if 0 (i32.ne (table.grow $t (ref.null func) (i32.const 100)) (i32.const -1)))) unreachable)
