;; Takes four billion table elements at once.
;; ends: limit fuel 5000000
;; used: fuel 5000000, border 0
(table $t 0 funcref)
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (drop (table.grow $t (ref.null func) (i32.const -1))) unreachable)
