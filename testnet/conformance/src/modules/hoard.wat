;; `hoard` writes to each 4 KiB page of 8 MiB more, no two pages alike.
(module
  (import "ic0" "msg_reply" (func $reply))
  (memory 1)
  (func (export "canister_update hoard") (local $at i32) (local $end i32)
    (local.set $at (i32.mul (memory.size) (i32.const 65536)))
    (drop (memory.grow (i32.const 128)))
    (local.set $end (i32.mul (memory.size) (i32.const 65536)))
    (loop $pages
      (i64.store (local.get $at) (i64.extend_i32_u (local.get $at)))
      (local.set $at (i32.add (local.get $at) (i32.const 4096)))
      (br_if $pages (i32.lt_u (local.get $at) (local.get $end))))
    (call $reply)))
