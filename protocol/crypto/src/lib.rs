//! mains-crypto
