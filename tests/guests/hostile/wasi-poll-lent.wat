;; Lends a pollable to another part, which polls it a hundred thousand times in one list: what is lent on is no handle more.
;; ends: limit pollables 256
;; used: fuel 1300030, border 16
;; form: alone
(component
  (import "wasi:io/poll@0.2.3" (instance $poll
    (export "pollable" (type $pollable (sub resource)))
    (export "poll" (func (param "in" (list (borrow $pollable))) (result (list u32))))))
  (alias export $poll "pollable" (type $pollable))
  (alias export $poll "poll" (func $list))
  (import "wasi:clocks/monotonic-clock@0.2.3" (instance $clock
    (alias outer 1 $pollable (type $outer))
    (export "pollable" (type $pollable (eq $outer)))
    (export "subscribe-duration" (func (param "when" u64) (result (own $pollable))))))
  (alias export $clock "subscribe-duration" (func $sleep))

  (component $floods
    (import "pollable" (type $pollable (sub resource)))
    (import "poll" (func $poll (param "in" (list (borrow $pollable))) (result (list u32))))
    (core module $memory
      (memory (export "memory") 16)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 524288)))
    (core instance $memory (instantiate $memory))
    (core func $lowered
      (canon lower (func $poll) (memory (core memory $memory "memory")) (realloc (core func $memory "realloc"))))
    (core module $m
      (import "memory" "memory" (memory 16))
      (import "poll" "poll" (func $poll (param i32 i32 i32)))
      (func (export "flood") (param $handle i32) (local $n i32)
        (loop
          (i32.store (i32.shl (local.get $n) (i32.const 2)) (local.get $handle))
          (local.set $n (i32.add (local.get $n) (i32.const 1)))
          (br_if 0 (i32.lt_u (local.get $n) (i32.const 100000))))
        (loop (call $poll (i32.const 0) (i32.const 100000) (i32.const 1000000)) (br 0))))
    (core instance $i (instantiate $m
      (with "memory" (instance $memory))
      (with "poll" (instance (export "poll" (func $lowered))))))
    (func (export "flood") (param "handle" (borrow $pollable)) (canon lift (core func $i "flood"))))

  (component $lends
    (import "pollable" (type $pollable (sub resource)))
    (import "sleep" (func $sleep (param "when" u64) (result (own $pollable))))
    (import "flood" (func $flood (param "handle" (borrow $pollable))))
    (core func $sleep (canon lower (func $sleep)))
    (core func $flood (canon lower (func $flood)))
    (core module $m
      (import "out" "sleep" (func $sleep (param i64) (result i32)))
      (import "out" "flood" (func $flood (param i32)))
      (func $begin (call $flood (call $sleep (i64.const 0))))
      (start $begin))
    (core instance (instantiate $m
      (with "out" (instance (export "sleep" (func $sleep)) (export "flood" (func $flood)))))))

  (instance $floods (instantiate $floods (with "pollable" (type $pollable)) (with "poll" (func $list))))
  (instance (instantiate $lends
    (with "pollable" (type $pollable))
    (with "sleep" (func $sleep))
    (with "flood" (func $floods "flood"))))

  (import "fangshi:host/events@0.1.0" (instance $events (export "event" (type (sub resource)))))
  (import "fangshi:host/outcomes@0.1.0" (instance $outcomes
    (type $r (record (field "reason" string) (field "after-seconds" (option u32))))
    (export "retry" (type $retry (eq $r)))
    (type $f (variant (case "retry-later" $retry) (case "reject" string)))
    (export "failure" (type (eq $f)))))
  (import "fangshi:store/orders@0.1.0" (instance $orders (export "order" (type (sub resource)))))
  (alias export $events "event" (type $event))
  (alias export $outcomes "failure" (type $failure))
  (alias export $orders "order" (type $order))
  (type $pay (record (field "pay-time" s64)))
  (core module $hook
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable)
    (func (export "handle") (param i32 i32 i64) (result i32) unreachable))
  (core instance $hook (instantiate $hook))
  (type $hooks (func (param "event" (own $event)) (param "order" (own $order)) (param "pay" $pay)
    (result (result (error $failure)))))
  (func $handle (type $hooks) (canon lift (core func $hook "handle")
    (memory (core memory $hook "memory")) (realloc (core func $hook "realloc"))))
  (component $names
    (import "event" (type $event (sub resource)))
    (import "order" (type $order (sub resource)))
    (type $r (record (field "reason" string) (field "after-seconds" (option u32))))
    (import "retry" (type $retry (eq $r)))
    (type $f (variant (case "retry-later" $retry) (case "reject" string)))
    (import "failure" (type $failure (eq $f)))
    (type $p (record (field "pay-time" s64)))
    (import "pay" (type $pay (eq $p)))
    (import "handle" (func $handle (param "event" (own $event)) (param "order" (own $order)) (param "pay" $pay)
      (result (result (error $failure)))))
    (export $named_event "event" (type $event))
    (export $named_order "order" (type $order))
    (export $named_failure "failure" (type $failure))
    (export $named_pay "pay" (type $pay))
    (export "handle" (func $handle) (func (param "event" (own $named_event)) (param "order" (own $named_order))
      (param "pay" $named_pay) (result (result (error $named_failure))))))
  (alias export $outcomes "retry" (type $retry))
  (instance $on_pay (instantiate $names
    (with "event" (type $event))
    (with "order" (type $order))
    (with "retry" (type $retry))
    (with "failure" (type $failure))
    (with "pay" (type $pay))
    (with "handle" (func $handle))))
  (export "fangshi:store/on-pay@0.1.0" (instance $on_pay)))
