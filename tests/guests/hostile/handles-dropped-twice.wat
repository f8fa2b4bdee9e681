;; Drops the event twice.
;; ends: trap handle
;; used: fuel 10, border 0
(func $body (param $event i32) (param $order i32) (param $pay_time i64) (result i32)
  (call $drop_event (local.get $event)) (call $drop_event (local.get $event)) (call $done))
