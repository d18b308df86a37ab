// Operations of a script, one byte each; what follows the byte stands in brackets. `a b -> c`: what it takes from the
// stack, the top last, and what it leaves. I: a 64-bit number, B: bytes. A script within a script is bytes.

/// `[8 bytes, little-endian] -> I`
pub const NUMBER: u8 = 1;
/// `[4 bytes: length, little-endian; bytes] -> B`
pub const BYTES: u8 = 2;
/// `[1 byte: number in functions.rs] parameters -> result`: a call of the system.
pub const SYSTEM: u8 = 3;
/// `any ->`
pub const DROP: u8 = 4;
/// `B -> I I`: puts bytes into the heap for good; where they begin and how many there are.
pub const PIN: u8 = 5;
/// `I -> I`: zeroed room for so many bytes, the same until the next time; where it begins.
pub const ROOM: u8 = 6;
/// `I -> B`: so many bytes of that room.
pub const TAKE: u8 = 7;
/// `B B -> B`: one after the other.
pub const CONCAT: u8 = 8;
/// `B -> I`
pub const LENGTH: u8 = 9;
/// `B I I -> B`: from a position on, so many.
pub const SLICE: u8 = 10;
/// `B -> I`: at most eight bytes as a number, little-endian.
pub const TO_NUMBER: u8 = 11;
/// `I I -> B`: a number as so many little-endian bytes, at most eight.
pub const TO_BYTES: u8 = 12;
/// `I I -> I`, modulo 2^64.
pub const ADD: u8 = 13;
/// `I I -> I`, modulo 2^64.
pub const SUBTRACT: u8 = 14;
/// `I I -> I`, modulo 2^64.
pub const MULTIPLY: u8 = 15;
/// `any any -> I`: 1 if both are the same.
pub const EQUAL: u8 = 16;
/// `I I -> I`: 1 if the first is less.
pub const LESS: u8 = 17;
/// `I B B ->`: runs the first script if the number is not 0, else the second.
pub const IF: u8 = 18;
/// `I B ->`: runs the script so many times.
pub const REPEAT: u8 = 19;
/// `B ->`: runs the script.
pub const RUN: u8 = 20;
/// `B -> I I`: keeps a script to be run as a callback; function and environment.
pub const CALLBACK: u8 = 21;
/// `B ->`: sets the bytes that the heap keeps.
pub const KEEP: u8 = 22;
/// `-> B`: the bytes that the heap keeps.
pub const KEPT: u8 = 23;
/// `[1 byte: hook] B ->`: what a hook runs from now on.
pub const HOOK: u8 = 24;
/// `I -> I`: grows the heap by pages; its former size or all ones.
pub const GROW: u8 = 25;
/// `I I -> B`: reads the heap, wherever; so many bytes.
pub const LOAD: u8 = 26;
/// `B I ->`: writes the heap, wherever.
pub const STORE: u8 = 27;
/// `[1 byte: fault] ->`: breaks a rule of Wasm.
pub const FAULT: u8 = 28;
/// `I ->`: goes round a loop so many times.
pub const SPIN: u8 = 29;
/// `[1 byte: which of 8] any ->`: keeps a value until the run ends.
pub const SET: u8 = 30;
/// `[1 byte: which of 8] -> any`
pub const GET: u8 = 31;

/// Hooks.
pub const PRE_UPGRADE: u8 = 0;
/// See [`PRE_UPGRADE`].
pub const HEARTBEAT: u8 = 1;
/// See [`PRE_UPGRADE`].
pub const GLOBAL_TIMER: u8 = 2;
/// See [`PRE_UPGRADE`].
pub const INSPECT_MESSAGE: u8 = 3;
/// See [`PRE_UPGRADE`].
pub const ON_LOW_WASM_MEMORY: u8 = 4;

/// Faults.
pub const UNREACHABLE: u8 = 0;
/// See [`UNREACHABLE`].
pub const BEYOND_THE_HEAP: u8 = 1;
/// See [`UNREACHABLE`].
pub const ENDLESS_RECURSION: u8 = 2;
/// See [`UNREACHABLE`].
pub const ENDLESS_LOOP: u8 = 3;
