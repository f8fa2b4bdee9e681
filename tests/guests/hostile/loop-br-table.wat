;; Jumps back through a branch table.
;; ends: limit fuel 5000000
;; used: fuel 5000000, border 0
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (loop $a (loop $b (br_table $a $b $a (local.get $order)))) unreachable)
