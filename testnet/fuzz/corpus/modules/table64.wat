;; A table with 64-bit indices, beside a 32-bit memory.
(module
  (type $step (func (param i64) (result i64)))
  (memory 1)
  (table $t i64 6 6 funcref)
  (elem (table $t) (i64.const 1) func $double $square $negate)
  (global $result (mut i64) (i64.const 3))
  (func $double (type $step) (i64.shl (local.get 0) (i64.const 1)))
  (func $square (type $step) (i64.mul (local.get 0) (local.get 0)))
  (func $negate (type $step) (i64.sub (i64.const 0) (local.get 0)))
  (func $call (param $at i64) (global.set $result (call_indirect $t (type $step) (global.get $result) (local.get $at))))
  (func (export "canister_update all") (call $call (i64.const 1)) (call $call (i64.const 2)) (call $call (i64.const 3)))
  (func (export "canister_update null") (call $call (i64.const 0)))
  (func (export "canister_update behind") (call $call (i64.const 6)))
  (func (export "canister_update far") (call $call (i64.const 0x100000001)))
  (func (export "canister_update size") (global.set $result (table.size $t)))
  (func (export "canister_update null_or_not") (global.set $result (i64.extend_i32_u (i32.add
    (ref.is_null (table.get $t (i64.const 0))) (i32.shl (ref.is_null (table.get $t (i64.const 2))) (i32.const 1))))))
  (func (export "canister_update get_behind") (drop (table.get $t (i64.const 6)))))
