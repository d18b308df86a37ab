//! Who published a module: what is shown, and what a subnet that asks for signatures refuses.

use super::*;
use mains_crypto::{NodeKey, sign_module};
use mains_state::{PUBLISHER_SECTION, RequiredSignature};
use std::sync::Arc;

/// Something that a signature can be put into, for the engine of the bench.
const MODULE: &[u8] = b"\0asm\x01\0\0\0 init ";

fn signed(seed: u8) -> Vec<u8> {
    sign_module(MODULE, &[seed; 32]).unwrap()
}

fn publisher(seed: u8) -> Principal {
    NodeKey::from_seed([seed; 32]).node_id()
}

fn bench(required: RequiredSignature) -> (Bench, CanisterId) {
    let mut bench = Bench::new();
    Arc::make_mut(&mut bench.state.subnet).require_publisher_signature = required;
    let id = create(&mut bench);
    (bench, id)
}

fn args(canister_id: CanisterId, wasm_module: &[u8]) -> InstallCodeArgs {
    let mode = CanisterInstallMode::Reinstall;
    InstallCodeArgs { mode, canister_id, wasm_module: wasm_module.into(), arg: vec![], sender_canister_version: None }
}

fn shown(bench: &Bench, id: CanisterId) -> Option<&str> {
    bench.state.canister(&id).unwrap().code.as_ref().unwrap().publisher()
}

fn refused(bench: &mut Bench, id: CanisterId, module: &[u8], why: &str) {
    let reject = bench.refused(alice(), "install_code", &args(id, module));
    assert_eq!(reject.error_code, Some(ErrorCode::CanisterInvalidModule));
    assert!(reject.message.contains("require_publisher_signature"), "{reject:?}");
    assert!(reject.message.contains(why), "{reject:?}");
    assert!(bench.state.canister(&id).unwrap().code.is_none());
}

#[test]
fn a_publisher_is_shown_to_everybody_and_goes_with_the_module() {
    let (mut bench, id) = bench(RequiredSignature::Nobody);
    bench.manage(alice(), "install_code", &args(id, &signed(1)));
    assert_eq!(shown(&bench, id), Some(publisher(1).to_text().as_str()));
    let asked = ic::CanisterMetadataArgs { canister_id: id, name: PUBLISHER_SECTION.into() };
    let told: ic::CanisterMetadataResult =
        decode(&reply(bench.call_from(id, 0, MANAGEMENT, "canister_metadata", &asked)));
    assert_eq!(told.value, publisher(1).to_text().into_bytes());
    bench.manage(alice(), "install_code", &args(id, MODULE));
    assert_eq!(shown(&bench, id), None);
}

#[test]
fn where_no_signature_is_asked_for_one_that_does_not_fit_names_nobody() {
    let (mut bench, id) = bench(RequiredSignature::Nobody);
    let rewritten = [&signed(1)[..], b" post"].concat();
    bench.manage(alice(), "install_code", &args(id, &rewritten));
    assert_eq!(shown(&bench, id), None);
}

#[test]
fn a_section_of_the_module_cannot_name_a_publisher() {
    let (mut bench, id) = bench(RequiredSignature::Nobody);
    let reject = bench.refused(alice(), "install_code", &args(id, b"\0asm\x01\0\0\0 forged"));
    assert!(reject.message.contains(PUBLISHER_SECTION), "{reject:?}");
}

#[test]
fn a_subnet_that_asks_for_signatures_installs_any_that_counts() {
    let (mut bench, id) = bench(RequiredSignature::Anybody);
    refused(&mut bench, id, MODULE, "not signed");
    refused(&mut bench, id, &[&signed(1)[..], b" post"].concat(), "does not fit it");
    bench.manage(alice(), "install_code", &args(id, &signed(1)));
    bench.manage(alice(), "install_code", &args(id, &signed(2)));
    assert_eq!(shown(&bench, id), Some(publisher(2).to_text().as_str()));
}

#[test]
fn a_subnet_that_lists_publishers_installs_only_theirs() {
    let (mut bench, id) = bench(RequiredSignature::OneOf([publisher(1)].into()));
    refused(&mut bench, id, &signed(2), &publisher(2).to_text());
    bench.manage(alice(), "install_code", &args(id, &signed(1)));
}
