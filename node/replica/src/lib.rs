//! mains-replica
