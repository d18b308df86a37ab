//! PLACEHOLDER
/// PLACEHOLDER
#[derive(Clone, Debug, Default)]
pub struct Tree {}
