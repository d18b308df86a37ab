//! mains-store
