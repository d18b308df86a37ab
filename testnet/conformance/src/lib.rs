//! mains-conformance
