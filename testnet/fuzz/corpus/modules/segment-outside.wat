;; An active segment beyond the memory: it cannot be instantiated.
(module (memory 1) (data (i32.const 65530) "longer than six") (func (export "canister_update go")))
