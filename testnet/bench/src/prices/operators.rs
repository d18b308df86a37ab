//! Single operators, each in a loop of its own: chains in which every operation waits for the one before, the slowest that code
//! can be made of it, with values that processors find hard.

/// An operator to try: its name, the type it works on, a beginning and a constant, and one link of the chain around `#`.
pub(super) struct Operator {
    pub(super) name: &'static str,
    class: &'static str,
    begin: &'static str,
    constant: &'static str,
    link: &'static str,
}

/// Operators in one round of the loop.
const LINKS: usize = 32;
/// Operators in one message.
pub(super) const OPERATORS: u32 = 3_200_000;

const fn operator(
    name: &'static str,
    class: &'static str,
    begin: &'static str,
    constant: &'static str,
    link: &'static str,
) -> Operator {
    Operator { name, class, begin, constant, link }
}

/// What is tried: of each weight the slowest that we know.
pub(super) const ALL: [Operator; 34] = [
    operator("i32.mul", "i32", "7", "0x9e3779b9", "(i32.mul # (local.get $y))"),
    operator("i64.mul", "i64", "7", "0x9e3779b97f4a7c15", "(i64.mul # (local.get $y))"),
    operator("i64.popcnt", "i64", "7", "-1", "(i64.popcnt (i64.xor # (local.get $y)))"),
    operator("i64.ctz", "i64", "7", "-1", "(i64.ctz #)"),
    operator("i32.div_u", "i32", "3", "-1", "(i32.div_u (local.get $y) #)"),
    operator("i32.rem_s", "i32", "3", "0x7fffffff", "(i32.or (i32.rem_s (local.get $y) #) (i32.const 0x10001))"),
    operator("i64.div_u", "i64", "3", "-1", "(i64.div_u (local.get $y) #)"),
    operator("i64.div_s", "i64", "3", "0x7fffffffffffffff", "(i64.div_s (local.get $y) #)"),
    operator("i64.rem_u", "i64", "3", "-1", "(i64.or (i64.rem_u (local.get $y) #) (i64.const 0x100000001))"),
    operator("f32.sqrt", "f32", "1e30", "0", "(f32.sqrt #)"),
    operator("f64.sqrt", "f64", "1e300", "0", "(f64.sqrt #)"),
    operator("f64.sqrt of tiny numbers", "f64", "5e-310", "1e-155", "(f64.mul (f64.sqrt #) (local.get $y))"),
    operator("f32.div", "f32", "3.1", "1.7", "(f32.div (local.get $y) #)"),
    operator("f64.div", "f64", "3.1", "1.7", "(f64.div (local.get $y) #)"),
    operator("f64.div of tiny numbers", "f64", "5e-310", "1.0", "(f64.div # (local.get $y))"),
    operator("f64.mul of tiny numbers", "f64", "5e-310", "1.0", "(f64.mul # (local.get $y))"),
    operator("f64.add of tiny numbers", "f64", "5e-310", "3e-310", "(f64.sub (local.get $y) #)"),
    operator("f64.mul", "f64", "1.5", "0.9999999", "(f64.mul # (local.get $y))"),
    operator("f64.add", "f64", "1.5", "0.3", "(f64.add # (local.get $y))"),
    operator("f64.min", "f64", "1.5", "0.3", "(f64.min # (local.get $y))"),
    operator("f64.nearest", "f64", "1.5", "0.3", "(f64.nearest #)"),
    operator("f64.convert_i64_u", "i64", "-7", "0", "(i64.reinterpret_f64 (f64.convert_i64_u #))"),
    operator("i64.trunc_sat_f64_u", "f64", "1e19", "0", "(f64.reinterpret_i64 (i64.trunc_sat_f64_u #))"),
    operator("f64.promote_f32", "f64", "1.5", "0", "(f64.promote_f32 (f32.demote_f64 #))"),
    operator("f64x2.sqrt", "v128", "f64x2 1e300 1e300", "f64x2 0 0", "(f64x2.sqrt #)"),
    operator("f64x2.div", "v128", "f64x2 3.1 3.1", "f64x2 1.7 1.7", "(f64x2.div (local.get $y) #)"),
    operator("f32x4.div", "v128", "f32x4 3 3 3 3", "f32x4 1.7 1.7 1.7 1.7", "(f32x4.div (local.get $y) #)"),
    operator("f64x2.max", "v128", "f64x2 3.1 3.1", "f64x2 1.7 1.7", "(f64x2.max (local.get $y) #)"),
    operator("f64x2.mul", "v128", "f64x2 3.1 3.1", "f64x2 0.9 0.9", "(f64x2.mul (local.get $y) #)"),
    operator("i64x2.mul", "v128", "i64x2 3 5", "i64x2 7 9", "(i64x2.mul (local.get $y) #)"),
    operator("i8x16.shr_s", "v128", "i64x2 3 5", "i64x2 7 9", "(i8x16.shr_s # (i32.const 3))"),
    operator("i8x16.popcnt", "v128", "i64x2 3 5", "i64x2 7 9", "(i8x16.popcnt #)"),
    operator("i64x2.shr_s", "v128", "i64x2 3 5", "i64x2 7 9", "(i64x2.shr_s # (i32.const 3))"),
    operator("f32x4.convert_i32x4_u", "v128", "i64x2 3 5", "i64x2 7 9", "(f32x4.convert_i32x4_u #)"),
];

impl Operator {
    /// A module whose method `run` does so many rounds as its argument says.
    pub(super) fn module(&self) -> String {
        let Self { class, begin, constant, link, .. } = self;
        let begin_again = self.begin_again();
        let chain = (0..LINKS).fold(begin_again, |chain, _| link.replacen('#', &chain, 1));
        format!(
            r#"(module
                (import "ic0" "msg_arg_data_copy" (func $copy (param i32 i32 i32)))
                (import "ic0" "msg_reply" (func $reply))
                (memory 1)
                (func (export "canister_update run") (local $left i32) (local $x {class}) (local $y {class}) (local $b {class})
                  ({class}.store (i32.const 64) ({class}.const {constant}))
                  ({class}.store (i32.const 80) ({class}.const {begin}))
                  ;; Behind a call no compiler knows what memory holds.
                  (call $copy (i32.const 0) (i32.const 0) (i32.const 4))
                  (local.set $left (i32.load (i32.const 0)))
                  (local.set $y ({class}.load (i32.const 64)))
                  (local.set $b ({class}.load (i32.const 80)))
                  (loop $round
                    (local.set $x {chain})
                    (br_if $round (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
                  ({class}.store (i32.const 0) (local.get $x)) (call $reply)))"#
        )
    }

    /// The chain's beginning: the same in each round, but no compiler knows.
    fn begin_again(&self) -> String {
        let Self { name, class, .. } = self;
        let zero = match *class {
            "f32" | "f64" => format!("{class}.const 0"),
            "v128" if name.starts_with("f64x2") => "v128.const f64x2 0 0".into(),
            "v128" if *name == "f32x4.div" => "v128.const f32x4 0 0 0 0".into(),
            _ => return format!("({class}.or (local.get $x) (local.get $b))"),
        };
        let shape = if *class == "v128" { &name[..5] } else { class };
        format!("({shape}.add ({shape}.mul (local.get $x) ({zero})) (local.get $b))")
    }

    /// Rounds of a message.
    pub(super) const ROUNDS: u32 = OPERATORS / LINKS as u32;
}
