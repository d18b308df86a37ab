//! Every numeric operator with every pair of operands at which something changes, on both engines.

use crate::differential::agreed;
use mains_fuzz::Trace;

/// Operands, 16 bytes each; scalars read the first 4 or 8.
const OPERANDS: [[u64; 2]; 24] = [
    [0, 0],
    [1, 1],
    [u64::MAX, u64::MAX],
    [0x7fff_ffff_ffff_ffff, 0x8000_0000_0000_0000],
    [0x8000_0000_0000_0000, 0x7fff_ffff_ffff_ffff],
    [0x8000_0000, 0x7fff_ffff],
    [0x7fff_ffff, 0x0102_0304_0506_0708],
    [0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210],
    // 32-bit floats in each half: 1.5, -0, infinities, quiet and signalling NaNs, 2^31, 2^63, a denormal.
    [0x3fc0_0000_bfc0_0000, 0x8000_0000_0000_0001],
    [0x7f80_0000_ff80_0000, 0x4f00_0000_cf00_0000],
    [0x7fc0_0000_ffc0_1234, 0x7fa0_0000_ff80_0001],
    [0x4f7f_ffff_4f80_0000, 0x5f00_0000_df00_0001],
    // 64-bit floats: 1.5, -2.5, -0, infinities, NaNs, 2^31, 2^63, 2^64, the least and the greatest, 0.1.
    [0x3ff8_0000_0000_0000, 0xc004_0000_0000_0000],
    [0x8000_0000_0000_0000, 0x7ff0_0000_0000_0000],
    [0xfff0_0000_0000_0000, 0x7ff8_0000_0000_0000],
    [0xfff8_0000_0000_0001, 0x7ff4_0000_0000_0000],
    [0x41df_ffff_ffc0_0000, 0x41e0_0000_0000_0000],
    [0x43e0_0000_0000_0000, 0xc3e0_0000_0000_0001],
    [0x43f0_0000_0000_0000, 0x3fef_ffff_ffff_ffff],
    [0x0000_0000_0000_0001, 0x7fef_ffff_ffff_ffff],
    [0x3fb9_9999_9999_999a, 0xbff0_0000_0000_0001],
    [0xc1e0_0000_0020_0000, 0x41ef_ffff_ffe0_0000],
    [0x4059_0000_0000_0020, 0x0000_003f_0000_0040],
    [0x00ff_00ff_8080_7f7f, 0x7fff_8000_ffff_0001],
];

/// Where results go.
const RESULTS: usize = 4096;

/// Operators by type: name, operand's types, result's type. `%` in a name stands for each of the words behind it.
const FAMILIES: [(&str, &str, &[&str], &str); 34] = [
    ("i32.%", "clz ctz popcnt eqz extend8_s extend16_s", &["i32"], "i32"),
    ("i64.%", "clz ctz popcnt extend8_s extend16_s extend32_s", &["i64"], "i64"),
    ("i64.%", "eqz", &["i64"], "i32"),
    (
        "i32.%",
        "add sub mul and or xor shl shr_s shr_u rotl rotr eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u",
        &["i32", "i32"],
        "i32",
    ),
    ("i64.%", "add sub mul and or xor shl shr_s shr_u rotl rotr", &["i64", "i64"], "i64"),
    ("i64.%", "eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u", &["i64", "i64"], "i32"),
    ("f32.%", "abs neg ceil floor trunc nearest sqrt", &["f32"], "f32"),
    ("f64.%", "abs neg ceil floor trunc nearest sqrt", &["f64"], "f64"),
    ("f32.%", "add sub mul div min max copysign", &["f32", "f32"], "f32"),
    ("f64.%", "add sub mul div min max copysign", &["f64", "f64"], "f64"),
    ("f32.%", "eq ne lt gt le ge", &["f32", "f32"], "i32"),
    ("f64.%", "eq ne lt gt le ge", &["f64", "f64"], "i32"),
    ("i32.%", "wrap_i64", &["i64"], "i32"),
    ("i64.%", "extend_i32_s extend_i32_u", &["i32"], "i64"),
    ("i32.%", "trunc_sat_f32_s trunc_sat_f32_u reinterpret_f32", &["f32"], "i32"),
    ("i32.%", "trunc_sat_f64_s trunc_sat_f64_u", &["f64"], "i32"),
    ("i64.%", "trunc_sat_f32_s trunc_sat_f32_u", &["f32"], "i64"),
    ("i64.%", "trunc_sat_f64_s trunc_sat_f64_u reinterpret_f64", &["f64"], "i64"),
    ("f32.%", "convert_i32_s convert_i32_u reinterpret_i32", &["i32"], "f32"),
    ("f32.%", "convert_i64_s convert_i64_u", &["i64"], "f32"),
    ("f64.%", "convert_i32_s convert_i32_u", &["i32"], "f64"),
    ("f64.%", "convert_i64_s convert_i64_u reinterpret_i64", &["i64"], "f64"),
    ("f32.demote_f64", "", &["f64"], "f32"),
    ("f64.promote_f32", "", &["f32"], "f64"),
    ("v128.%", "not", &["v128"], "v128"),
    ("v128.%", "and or xor andnot", &["v128", "v128"], "v128"),
    ("%", VECTOR_UNARY, &["v128"], "v128"),
    ("%", VECTOR_BINARY, &["v128", "v128"], "v128"),
    (
        "%",
        "v128.any_true i8x16.all_true i16x8.all_true i32x4.all_true i64x2.all_true i8x16.bitmask i16x8.bitmask i32x4.bitmask i64x2.bitmask",
        &["v128"],
        "i32",
    ),
    (
        "%",
        "i8x16.shl i8x16.shr_s i8x16.shr_u i16x8.shl i16x8.shr_s i16x8.shr_u i32x4.shl i32x4.shr_s i32x4.shr_u i64x2.shl i64x2.shr_s i64x2.shr_u",
        &["v128", "i32"],
        "v128",
    ),
    ("%", "i8x16.splat i16x8.splat i32x4.splat", &["i32"], "v128"),
    ("i64x2.splat", "", &["i64"], "v128"),
    ("f32x4.splat", "", &["f32"], "v128"),
    ("f64x2.splat", "", &["f64"], "v128"),
];

const VECTOR_UNARY: &str = "i8x16.abs i8x16.neg i8x16.popcnt i16x8.abs i16x8.neg i32x4.abs i32x4.neg i64x2.abs i64x2.neg \
    i16x8.extadd_pairwise_i8x16_s i16x8.extadd_pairwise_i8x16_u i32x4.extadd_pairwise_i16x8_s i32x4.extadd_pairwise_i16x8_u \
    i16x8.extend_low_i8x16_s i16x8.extend_high_i8x16_s i16x8.extend_low_i8x16_u i16x8.extend_high_i8x16_u i32x4.extend_low_i16x8_s \
    i32x4.extend_high_i16x8_s i32x4.extend_low_i16x8_u i32x4.extend_high_i16x8_u i64x2.extend_low_i32x4_s i64x2.extend_high_i32x4_s \
    i64x2.extend_low_i32x4_u i64x2.extend_high_i32x4_u f32x4.abs f32x4.neg f32x4.sqrt f32x4.ceil f32x4.floor f32x4.trunc f32x4.nearest \
    f64x2.abs f64x2.neg f64x2.sqrt f64x2.ceil f64x2.floor f64x2.trunc f64x2.nearest i32x4.trunc_sat_f32x4_s i32x4.trunc_sat_f32x4_u \
    i32x4.trunc_sat_f64x2_s_zero i32x4.trunc_sat_f64x2_u_zero f32x4.convert_i32x4_s f32x4.convert_i32x4_u f64x2.convert_low_i32x4_s \
    f64x2.convert_low_i32x4_u f32x4.demote_f64x2_zero f64x2.promote_low_f32x4";

const VECTOR_BINARY: &str = "i8x16.swizzle i8x16.add i8x16.sub i8x16.add_sat_s i8x16.add_sat_u i8x16.sub_sat_s i8x16.sub_sat_u i8x16.min_s \
    i8x16.min_u i8x16.max_s i8x16.max_u i8x16.avgr_u i8x16.eq i8x16.ne i8x16.lt_s i8x16.lt_u i8x16.gt_s i8x16.gt_u i8x16.le_s i8x16.le_u \
    i8x16.ge_s i8x16.ge_u i8x16.narrow_i16x8_s i8x16.narrow_i16x8_u i16x8.narrow_i32x4_s i16x8.narrow_i32x4_u i16x8.q15mulr_sat_s i16x8.add \
    i16x8.sub i16x8.mul i16x8.add_sat_s i16x8.add_sat_u i16x8.sub_sat_s i16x8.sub_sat_u i16x8.min_s i16x8.min_u i16x8.max_s i16x8.max_u \
    i16x8.avgr_u i16x8.eq i16x8.lt_s i16x8.lt_u i16x8.ge_u i16x8.extmul_low_i8x16_s i16x8.extmul_high_i8x16_s i16x8.extmul_low_i8x16_u \
    i16x8.extmul_high_i8x16_u i32x4.add i32x4.sub i32x4.mul i32x4.min_s i32x4.min_u i32x4.max_s i32x4.max_u i32x4.eq i32x4.lt_s i32x4.gt_u \
    i32x4.dot_i16x8_s i32x4.extmul_low_i16x8_s i32x4.extmul_high_i16x8_s i32x4.extmul_low_i16x8_u i32x4.extmul_high_i16x8_u i64x2.add \
    i64x2.sub i64x2.mul i64x2.eq i64x2.ne i64x2.lt_s i64x2.gt_s i64x2.le_s i64x2.ge_s i64x2.extmul_low_i32x4_s i64x2.extmul_high_i32x4_s \
    i64x2.extmul_low_i32x4_u i64x2.extmul_high_i32x4_u f32x4.add f32x4.sub f32x4.mul f32x4.div f32x4.min f32x4.max f32x4.pmin f32x4.pmax \
    f32x4.eq f32x4.ne f32x4.lt f32x4.le f64x2.add f64x2.sub f64x2.mul f64x2.div f64x2.min f64x2.max f64x2.pmin f64x2.pmax f64x2.eq f64x2.ne \
    f64x2.gt f64x2.ge";

/// Operators that trap on some operands.
const TRAPPING: [(&str, &[&str], &str); 12] = [
    ("i32.div_s", &["i32", "i32"], "i32"),
    ("i32.div_u", &["i32", "i32"], "i32"),
    ("i32.rem_s", &["i32", "i32"], "i32"),
    ("i32.rem_u", &["i32", "i32"], "i32"),
    ("i64.div_s", &["i64", "i64"], "i64"),
    ("i64.div_u", &["i64", "i64"], "i64"),
    ("i64.rem_s", &["i64", "i64"], "i64"),
    ("i64.rem_u", &["i64", "i64"], "i64"),
    ("i32.trunc_f32_s", &["f32"], "i32"),
    ("i32.trunc_f64_u", &["f64"], "i32"),
    ("i64.trunc_f32_u", &["f32"], "i64"),
    ("i64.trunc_f64_s", &["f64"], "i64"),
];

fn operators() -> impl Iterator<Item = (String, &'static [&'static str], &'static str)> {
    FAMILIES.iter().flat_map(|(pattern, words, operands, result)| {
        let words: Vec<&str> = if words.is_empty() { vec![""] } else { words.split_whitespace().collect() };
        words.into_iter().map(move |word| (pattern.replace('%', word), *operands, *result))
    })
}

/// The operator applied to operands at the addresses `$a` and `$b`.
fn applied(operator: &str, operands: &[&str]) -> String {
    let loads: Vec<String> =
        operands.iter().zip(["$a", "$b"]).map(|(ty, at)| format!("({ty}.load (local.get {at}))")).collect();
    format!("({operator} {})", loads.join(" "))
}

fn data() -> String {
    let bytes: Vec<String> =
        OPERANDS.iter().flatten().flat_map(|word| word.to_le_bytes()).map(|byte| format!("\\{byte:02x}")).collect();
    format!(r#"(data (i32.const 0) "{}")"#, bytes.concat())
}

#[test]
fn every_operator_gives_the_same_for_all_operands_at_edges() {
    let end = OPERANDS.len() * 16;
    let mut methods = String::new();
    let mut count = 0;
    for (operator, operands, result) in operators() {
        let body = format!(
            r#"(local.set $b (i32.const 0))
               (loop $second
                 ({result}.store offset={RESULTS} (local.get $out) {})
                 (local.set $out (i32.add (local.get $out) (i32.const 16)))
                 (br_if $second (i32.lt_u (local.tee $b (i32.add (local.get $b) (i32.const 16))) (i32.const {}))))"#,
            applied(&operator, operands),
            if operands.len() == 1 { 16 } else { end }
        );
        methods += &format!(
            r#"(func (export "canister_update {operator}") (local $a i32) (local $b i32) (local $out i32)
                 (loop $first {body}
                   (br_if $first (i32.lt_u (local.tee $a (i32.add (local.get $a) (i32.const 16))) (i32.const {end})))))"#
        );
        count += 1;
    }
    assert!(count >= 300, "{count} operators");
    let wasm = wat::parse_str(format!("(module (memory 1) {} {methods})", data())).expect("written here");
    let Trace::Ran(steps) = agreed(&wasm, &[Vec::new()], 1_000_000) else { panic!("it runs") };
    assert!(steps.iter().filter(|step| step.outcome.is_ok()).count() >= count);
}

#[test]
fn operators_that_trap_trap_for_the_same_operands() {
    let mut methods = String::new();
    for (operator, operands, result) in TRAPPING {
        methods += &format!(
            r#"(func (export "canister_update {operator}") (local $a i32) (local $b i32)
                 (call $copy (i32.const 2000) (i32.const 0) (i32.const 8))
                 (local.set $a (i32.load (i32.const 2000))) (local.set $b (i32.load (i32.const 2004)))
                 ({result}.store (i32.const {RESULTS}) {}))"#,
            applied(operator, operands)
        );
    }
    let import = r#"(import "ic0" "msg_arg_data_copy" (func $copy (param i32 i32 i32)))"#;
    let wasm = wat::parse_str(format!("(module {import} (memory 1) {} {methods})", data())).expect("written here");
    let address = |index: usize| ((index * 16) as u32).to_le_bytes();
    let pairs: Vec<Vec<u8>> = (0..OPERANDS.len() * OPERANDS.len())
        .map(|pair| [address(pair / OPERANDS.len()), address(pair % OPERANDS.len())].concat())
        .collect();
    let Trace::Ran(steps) = agreed(&wasm, &pairs, 30_000) else { panic!("it runs") };
    let trapped = steps.iter().filter(|step| step.outcome.is_err()).count();
    assert!(trapped > 500 && trapped < steps.len() - 500, "{trapped} of {}", steps.len());
}
