//! mains-network
