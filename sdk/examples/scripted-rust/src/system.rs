//! The system interface, raw: a script may pass whatever it likes.

use crate::{Value, fail, stack::Stack};

include!("functions.rs");

type P = usize;

macro_rules! system {
    ($($(#[$cfg:meta])* $number:literal $name:ident($($parameter:ident: $type:ident),*) $(-> $result:ident)?;)*) => {
        mod raw {
            #[allow(dead_code)]
            type P = usize;
            #[link(wasm_import_module = "ic0")]
            unsafe extern "C" {
                $($(#[$cfg])* pub(super) fn $name($($parameter: $type),*) $(-> $result)?;)*
            }
        }

        /// Calls a function with parameters from the stack and leaves its result there.
        pub(crate) fn call(number: u8, stack: &mut Stack) {
            match number {
                $($(#[$cfg])* $number => {
                    const PARAMETERS: &[&str] = &[$(stringify!($parameter)),*];
                    #[allow(unused_mut, unused_variables)]
                    let mut numbers = stack.numbers(PARAMETERS.len()).into_iter();
                    $(let $parameter = numbers.next().unwrap_or(0) as $type;)*
                    // SAFETY: the system checks every pointer; a script that has its heap overwritten asked for it.
                    unsafe { raw::$name($($parameter),*) }.leave(stack);
                })*
                _ => fail("no such function here"),
            }
        }
    };
}

functions!(system);

trait Leave {
    fn leave(self, stack: &mut Stack);
}

impl Leave for () {
    fn leave(self, _: &mut Stack) {}
}

impl Leave for u32 {
    fn leave(self, stack: &mut Stack) {
        stack.push(Value::Number(u64::from(self)));
    }
}

impl Leave for u64 {
    fn leave(self, stack: &mut Stack) {
        stack.push(Value::Number(self));
    }
}

impl Leave for P {
    fn leave(self, stack: &mut Stack) {
        stack.push(Value::Number(self as u64));
    }
}

/// Ends the run.
pub(crate) fn trap(text: &str) -> ! {
    // SAFETY: the text is where it says.
    unsafe { raw::trap(text.as_ptr() as usize, text.len()) };
    loop {}
}

/// Accepts the message under inspection.
pub(crate) fn accept() {
    // SAFETY: no pointers.
    unsafe { raw::accept_message() }
}

/// The argument of the message at work.
pub(crate) fn argument() -> alloc::vec::Vec<u8> {
    // SAFETY: no pointers.
    let size = unsafe { raw::msg_arg_data_size() };
    let mut bytes = alloc::vec![0; size];
    // SAFETY: the room is as long as it says.
    unsafe { raw::msg_arg_data_copy(bytes.as_mut_ptr() as usize, 0, size) };
    bytes
}
