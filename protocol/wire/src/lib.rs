//! mains-wire
