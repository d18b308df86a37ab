//! mains-operator
