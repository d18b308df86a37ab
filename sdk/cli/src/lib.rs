//! mains
