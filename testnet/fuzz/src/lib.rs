//! Inputs nobody wrote, from seeds: generated modules, mutated bytes, and the loop that tries them.
//!
//! A [`Target`] makes an input of a seed and checks it; [`fuzz`] first plays the inputs kept in `corpus/`, then seeds 0, 1, 2 ... until
//! its time is over, so that two runs try the same things. An input that fails is printed with its seed and kept as a file.
//! The targets themselves are tests (`tests/judges`). Never here: a clock or a random number that decides an input.

mod canister;
pub mod hostile;
mod modules;
mod mutate;
mod random;
mod session;

pub use canister::{Step, Trace, trace};
pub use modules::{generate, generate_anything, tame};
pub use mutate::mutate;
pub use random::Random;
pub use session::{Target, corpus, fuzz};
