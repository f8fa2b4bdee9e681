;; Makes an integer of what is no number.
;; ends: trap invalid conversion to integer
;; used: fuel 5, border 0
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (i32.trunc_f64_s (f64.const nan)))
