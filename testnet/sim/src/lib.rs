//! mains-sim
