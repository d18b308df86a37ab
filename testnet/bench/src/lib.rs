//! mains-bench
