//! The two canisters under load. Each keeps a log of all it did and answers with the place in it, so that the order of
//! operations is known and needs no search.

/// Accounts of the bank, and what each begins with.
pub(super) const ACCOUNTS: usize = 8;
pub(super) const OPENING: u64 = 1_000;
/// What the bank answers instead of a balance when there is too little.
pub(super) const REFUSED: u64 = u64::MAX;
/// Entries that one reading of a log answers at most.
pub(super) const ENTRIES_MAX: usize = 20_000;

/// A canister under load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Appends a number.
    List,
    /// Moves money.
    Bank,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Bank => "bank",
        }
    }

    /// Bytes of an operation: its number and what it does. An entry of the log has its result on top.
    pub(super) const OPERATION_BYTES: usize = 16;
    pub(super) const ENTRY_BYTES: usize = 24;

    /// The module.
    pub(super) fn module(self) -> Vec<u8> {
        let apply = match self {
            Self::List => LIST,
            Self::Bank => BANK,
        };
        let text = COMMON
            .replace("$APPLY", apply)
            .replace("$ENTRIES_MAX", &ENTRIES_MAX.to_string())
            .replace("$OPENING", &OPENING.to_string());
        wat::parse_str(text).expect("our own text assembles")
    }
}

/// `apply` takes an operation, appends it with its result to the log and answers place and result; `read` (update or
/// query) takes a place and answers the number of entries and those from there on.
const COMMON: &str = r#"(module
  (import "ic0" "msg_arg_data_size" (func $size (result i32)))
  (import "ic0" "msg_arg_data_copy" (func $copy (param i32 i32 i32)))
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "msg_reply" (func $reply))
  (memory 2)
  (global $count (mut i32) (i32.const 0))
  (func $entry (param i32) (result i32)
    (i32.add (i32.const 65536) (i32.mul (local.get 0) (i32.const 24))))
  ;; Balances stand at 1024, minus the opening one, so that zeroed memory is right.
  (func $account (param i32) (result i32)
    (i32.add (i32.const 1024) (i32.mul (i32.and (local.get 0) (i32.const 7)) (i32.const 8))))
  (func $result (param $at i32) (result i64) $APPLY)
  (func (export "canister_update apply") (local $at i32)
    (if (i32.ne (call $size) (i32.const 16)) (then unreachable))
    (local.set $at (call $entry (global.get $count)))
    (if (i32.lt_u (i32.mul (memory.size) (i32.const 65536)) (i32.add (local.get $at) (i32.const 24)))
      (then (if (i32.lt_s (memory.grow (i32.const 1)) (i32.const 0)) (then unreachable))))
    (call $copy (local.get $at) (i32.const 0) (i32.const 16))
    (i64.store offset=16 (local.get $at) (call $result (local.get $at)))
    (i64.store (i32.const 0) (i64.extend_i32_u (global.get $count)))
    (global.set $count (i32.add (global.get $count) (i32.const 1)))
    (call $append (i32.const 0) (i32.const 8))
    (call $append (i32.add (local.get $at) (i32.const 16)) (i32.const 8))
    (call $reply))
  (func (export "canister_query read") (local $from i32) (local $left i32)
    (call $copy (i32.const 0) (i32.const 0) (i32.const 4))
    (local.set $from (i32.load (i32.const 0)))
    (i64.store (i32.const 0) (i64.extend_i32_u (global.get $count)))
    (call $append (i32.const 0) (i32.const 8))
    (if (i32.lt_u (local.get $from) (global.get $count))
      (then
        (local.set $left (i32.sub (global.get $count) (local.get $from)))
        (if (i32.gt_u (local.get $left) (i32.const $ENTRIES_MAX))
          (then (local.set $left (i32.const $ENTRIES_MAX))))
        (call $append (call $entry (local.get $from)) (i32.mul (local.get $left) (i32.const 24)))))
    (call $reply)))"#;

/// The second word is the value; the result repeats it.
const LIST: &str = "(i64.load offset=8 (local.get $at))";

/// The second word is from, to (a byte each) and the amount (upper half); the result is what is left on the first account.
const BANK: &str = r#"
    (local $from i32) (local $to i32) (local $amount i64) (local $left i64)
    (local.set $from (call $account (i32.load8_u offset=8 (local.get $at))))
    (local.set $to (call $account (i32.load8_u offset=9 (local.get $at))))
    (local.set $amount (i64.load32_u offset=12 (local.get $at)))
    (local.set $left
      (i64.sub (i64.add (i64.load (local.get $from)) (i64.const $OPENING)) (local.get $amount)))
    (if (i64.lt_s (local.get $left) (i64.const 0)) (then (return (i64.const -1))))
    (i64.store (local.get $from) (i64.sub (i64.load (local.get $from)) (local.get $amount)))
    (i64.store (local.get $to) (i64.add (i64.load (local.get $to)) (local.get $amount)))
    (i64.add (i64.load (local.get $from)) (i64.const $OPENING))"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_modules_assemble() {
        assert_ne!(Kind::List.module(), Kind::Bank.module());
    }
}
