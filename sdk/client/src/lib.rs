//! mains-client
