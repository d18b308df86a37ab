;; An element segment beyond the table: it cannot be instantiated.
(module (table 1 funcref) (elem (i32.const 1) $f) (func $f) (func (export "canister_update go")))
