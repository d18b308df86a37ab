//! A node as it ships.

fn main() -> std::process::ExitCode {
    mains_conformance::node::main(mains_operator::CHECKPOINT_INTERVAL)
}
