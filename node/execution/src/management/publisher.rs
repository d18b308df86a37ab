//! Who published a module, and whether the subnet installs it (`require_publisher_signature`).

use super::refusal;
use mains_crypto::{module_publisher, publisher_id};
use mains_state::{RequiredSignature, Subnet};
use mains_types::{Principal, Reject};

/// The publisher of an unpacked module, or `None` if no signature counts and the subnet asks for none.
///
/// # Errors
/// [`refusal::not_published`]: the subnet does not install it.
pub(super) fn of(subnet: &Subnet, wasm: &[u8]) -> Result<Option<Principal>, Reject> {
    let publisher = module_publisher(wasm).map(|key| key.as_ref().map(publisher_id));
    let required = &subnet.require_publisher_signature;
    if *required == RequiredSignature::Nobody {
        // Tools of the Internet Computer rewrite modules that others have signed: such a module runs, as nobody's.
        return Ok(publisher.unwrap_or_default());
    }
    let why = match (required, publisher) {
        (_, Err(error)) => format!("it {error}"),
        (_, Ok(None)) => "it is not signed".to_owned(),
        (RequiredSignature::OneOf(publishers), Ok(Some(publisher))) if !publishers.contains(&publisher) => {
            format!("its publisher {publisher} is none of those that this subnet lists")
        }
        (_, Ok(publisher)) => return Ok(publisher),
    };
    Err(refusal::not_published(&why))
}
