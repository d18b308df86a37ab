//! The issuer: signs as canisters do, with the library that login services use. Interface: `../issuer.did`.

use std::cell::RefCell;

use candid::Principal;
use ic_canister_sig_creation::{
    CanisterSigPublicKey, DELEGATION_SIG_DOMAIN, delegation_signature_msg,
    signature_map::{CanisterSigInputs, LABEL_SIG, SignatureMap},
};
use ic_cdk::{api, query, update};
use serde_bytes::ByteBuf;

/// The interface, readable by anybody at `/canister/<id>/metadata/candid:service`.
#[used]
#[unsafe(link_section = "icp:public candid:service")]
static INTERFACE: [u8; include_bytes!("../../issuer.did").len()] = *include_bytes!("../../issuer.did");

/// A section that only controllers may read.
#[used]
#[unsafe(link_section = "icp:private secret")]
static SECRET: [u8; 15] = *b"for controllers";

thread_local! {
    static SIGNATURES: RefCell<SignatureMap> = RefCell::default();
}

fn add(domain: &[u8], seed: &[u8], message: &[u8]) {
    SIGNATURES.with_borrow_mut(|signatures| {
        signatures.add_signature(&CanisterSigInputs { domain, seed, message });
        // The library signs with a tree whose only label is `sig`.
        api::certified_data_set(root_of(signatures));
    });
}

fn find(domain: &[u8], seed: &[u8], message: &[u8]) -> ByteBuf {
    let signature = SIGNATURES
        .with_borrow(|signatures| signatures.get_signature_as_cbor(&CanisterSigInputs { domain, seed, message }, None));
    match signature {
        Ok(signature) => ByteBuf::from(signature),
        Err(error) => ic_cdk::trap(error.to_string()),
    }
}

fn root_of(signatures: &SignatureMap) -> [u8; 32] {
    ic_certification::labeled_hash(LABEL_SIG, &signatures.root_hash())
}

fn message(session: &[u8], expiration: u64, targets: Option<Vec<Principal>>) -> Vec<u8> {
    let targets = targets.map(|targets| targets.iter().map(|id| id.as_slice().to_vec()).collect());
    delegation_signature_msg(session, expiration, targets.as_ref())
}

#[query]
fn key(seed: ByteBuf) -> ByteBuf {
    ByteBuf::from(CanisterSigPublicKey::new(api::canister_self(), seed.into_vec()).to_der())
}

#[update]
fn delegate(seed: ByteBuf, session: ByteBuf, expiration: u64, targets: Option<Vec<Principal>>) {
    add(DELEGATION_SIG_DOMAIN, &seed, &message(&session, expiration, targets));
}

#[query]
fn delegation_signature(seed: ByteBuf, session: ByteBuf, expiration: u64, targets: Option<Vec<Principal>>) -> ByteBuf {
    find(DELEGATION_SIG_DOMAIN, &seed, &message(&session, expiration, targets))
}

#[update]
fn sign(domain: String, seed: ByteBuf, message: ByteBuf) {
    add(domain.as_bytes(), &seed, &message);
}

#[query]
fn signature(domain: String, seed: ByteBuf, message: ByteBuf) -> ByteBuf {
    find(domain.as_bytes(), &seed, &message)
}

#[query]
fn caller() -> (Principal, Option<Principal>, ByteBuf) {
    (api::msg_caller(), api::msg_caller_info_signer(), ByteBuf::from(api::msg_caller_info_data()))
}

#[update]
fn caller_in_update() -> (Principal, Option<Principal>, ByteBuf) {
    caller()
}
