//! mains-local
