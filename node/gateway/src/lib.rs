//! mains-gateway
