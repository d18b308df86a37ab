//! A node that writes checkpoints as often as a test has patience for.

fn main() -> std::process::ExitCode {
    mains_conformance::node::main(100)
}
