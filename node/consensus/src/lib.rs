//! mains-consensus
