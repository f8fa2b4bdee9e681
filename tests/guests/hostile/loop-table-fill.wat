;; Fills a table again and again.
;; ends: limit fuel 5000000
;; used: fuel 5000000, border 0
(table $t 10000 funcref)
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (loop (table.fill $t (i32.const 0) (ref.null func) (i32.const 10000)) (br 0)) unreachable)
