;; A start function that runs out of table.
(module (table 1 funcref) (memory 1)
  (func $start (i32.store (i32.const 0) (i32.const 1)) (call_indirect (i32.const 5)))
  (start $start)
  (func (export "canister_update go") (i32.store (i32.const 4) (i32.load (i32.const 0)))))
