;; Gives its result and never ends cleaning up.
;; ends: limit fuel 5000000
;; used: fuel 5000000, border 0
(func (export "cabi_post_fangshi:store/on-pay@0.1.0#handle") (param i32) (loop (br 0)))
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (call $done))
