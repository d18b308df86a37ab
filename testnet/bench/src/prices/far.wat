;; A heap of 1 GiB, each line of 64 bytes with the address of another one.
(module
  (import "ic0" "msg_arg_data_copy" (func $copy (param i32 i32 i32)))
  (import "ic0" "msg_reply" (func $reply))
  (memory 16400)
  (func $count (result i32)
    (call $copy (i32.const 0) (i32.const 0) (i32.const 4))
    (i32.load (i32.const 0)))
  (func (export "canister_update nothing") (call $reply))
  (func (export "canister_update links") (local $line i32)
    (loop $next
      (i32.store offset=1048576 (i32.shl (local.get $line) (i32.const 6))
        (i32.shl (i32.and (i32.add (i32.mul (local.get $line) (i32.const 1664525)) (i32.const 1013904223)) (i32.const 0xffffff)) (i32.const 6)))
      (br_if $next (i32.lt_u (local.tee $line (i32.add (local.get $line) (i32.const 1))) (i32.const 0x1000000))))
    (call $reply))
  (func (export "canister_update follow") (local $left i32) (local $at i32)
    (local.set $left (call $count))
    (loop $round
      (local.set $at (i32.load offset=1048576 (i32.load offset=1048576 (i32.load offset=1048576 (i32.load offset=1048576
        (i32.load offset=1048576 (i32.load offset=1048576 (i32.load offset=1048576 (i32.load offset=1048576 (local.get $at))))))))))
      (br_if $round (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
    (call $reply))
  ;; Eight loads each turn whose addresses do not come from loads; the offsets are far from each other.
  (func (export "canister_update scatter") (local $left i32) (local $at i32) (local $sum i32)
    (local.set $left (call $count))
    (loop $round
      (local.set $at (i32.and (i32.add (i32.mul (local.get $at) (i32.const 1664525)) (i32.const 1013904223)) (i32.const 0x7ffffc0)))
      (local.set $sum (i32.add (local.get $sum) (i32.add
        (i32.add (i32.add (i32.load offset=1048576 (local.get $at)) (i32.load offset=134270272 (local.get $at)))
          (i32.add (i32.load offset=268500160 (local.get $at)) (i32.load offset=402734144 (local.get $at))))
        (i32.add (i32.add (i32.load offset=536951936 (local.get $at)) (i32.load offset=671169792 (local.get $at)))
          (i32.add (i32.load offset=805400064 (local.get $at)) (i32.load offset=939617856 (local.get $at)))))))
      (br_if $round (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
    (i32.store (i32.const 0) (local.get $sum)) (call $reply)))
