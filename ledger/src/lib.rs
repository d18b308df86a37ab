//! Money and meters of one subnet. PLACEHOLDER.
use serde::{Deserialize, Serialize};
/// PLACEHOLDER
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Ledger {}
