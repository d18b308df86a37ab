//! mains-engine
