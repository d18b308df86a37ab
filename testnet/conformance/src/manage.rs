//! Management calls, with rejections as results: a rejection is what most tests here are about.

use crate::answer::Ended;
use anyhow::{Result, anyhow};
use candid::{CandidType, Decode, Encode, Nat, Principal};
use ic_management_canister_types::{
    CanisterIdRecord, CanisterSettings, ProvisionalCreateCanisterWithCyclesArgs, ProvisionalTopUpCanisterArgs,
    UpdateSettingsArgs,
};
use mains_client::{Client, ClientError, Outcome, management::Install};
use mains_types::{CanisterId, Cycles, ids};

/// How a call ended, whether it was certified or this replica's own word.
///
/// # Errors
/// It did not end.
pub fn ended(outcome: Result<Outcome, ClientError>) -> Result<Ended> {
    match outcome {
        Ok(outcome) => Ok(outcome.result),
        Err(ClientError::Rejected(rejection)) => Ok(Err(rejection)),
        Err(error) => Err(error.into()),
    }
}

/// Calls a method.
///
/// # Errors
/// The call did not end.
pub async fn call(client: &Client, canister: CanisterId, method: &str) -> Result<Ended> {
    ended(client.call(canister, method, Vec::new()).await)
}

/// Calls a method of the management canister about a canister.
///
/// # Errors
/// The call did not end.
pub async fn manage<T: CandidType>(client: &Client, canister: CanisterId, method: &str, argument: &T) -> Result<Ended> {
    let outcome = client.call_for(canister, Principal::management_canister(), method, Encode!(argument)?).await;
    ended(outcome)
}

/// Creates a canister with cycles from nowhere, as test networks allow. The client is its controller.
///
/// # Errors
/// It was not created.
pub async fn create(client: &Client, amount: Cycles) -> Result<CanisterId> {
    let args = ProvisionalCreateCanisterWithCyclesArgs { amount: Some(Nat::from(amount.get())), ..Default::default() };
    let anywhere = ids::canister_id(ids::FIRST_CANISTER_INDEX);
    let reply = done(manage(client, anywhere, "provisional_create_canister_with_cycles", &args).await?)?;
    Ok(Decode!(&reply, CanisterIdRecord)?.canister_id)
}

/// Creates a canister with plenty of cycles and installs a module.
///
/// # Errors
/// It was not created or not installed.
pub async fn create_with(client: &Client, module: &[u8]) -> Result<CanisterId> {
    let canister = create(client, Cycles(20_000_000_000_000)).await?;
    done(install(client, canister, Install::Fresh, module).await?)?;
    Ok(canister)
}

/// Installs a module with an empty argument.
///
/// # Errors
/// The call did not end.
pub async fn install(client: &Client, canister: CanisterId, how: Install, module: &[u8]) -> Result<Ended> {
    ended(client.install(canister, how, module, Vec::new()).await)
}

/// Gives a canister cycles from nowhere.
///
/// # Errors
/// It was not given them.
pub async fn top_up(client: &Client, canister: CanisterId, amount: Cycles) -> Result<()> {
    let args = ProvisionalTopUpCanisterArgs { canister_id: canister, amount: Nat::from(amount.get()) };
    done(manage(client, canister, "provisional_top_up_canister", &args).await?).map(drop)
}

/// Sets the seconds that a canister's balance must cover before it is frozen.
///
/// # Errors
/// They were not set.
pub async fn set_freezing_threshold(client: &Client, canister: CanisterId, seconds: u64) -> Result<()> {
    let settings = CanisterSettings { freezing_threshold: Some(Nat::from(seconds)), ..Default::default() };
    let args = UpdateSettingsArgs { canister_id: canister, settings, sender_canister_version: None };
    done(manage(client, canister, "update_settings", &args).await?).map(drop)
}

/// Stops a canister.
///
/// # Errors
/// It did not stop.
pub async fn stop(client: &Client, canister: CanisterId) -> Result<()> {
    done(ended(client.stop_canister(canister).await)?).map(drop)
}

/// Deletes a canister.
///
/// # Errors
/// The call did not end.
pub async fn delete(client: &Client, canister: CanisterId) -> Result<Ended> {
    manage(client, canister, "delete_canister", &CanisterIdRecord { canister_id: canister }).await
}

/// The reply.
///
/// # Errors
/// The call was rejected.
pub fn done(ended: Ended) -> Result<Vec<u8>> {
    ended.map_err(|rejection| anyhow!("rejected: {rejection}"))
}

/// The value that the modules in [`crate::modules`] answer.
///
/// # Errors
/// The reply has not eight bytes.
pub fn value(reply: &[u8]) -> Result<u64> {
    let bytes = reply.try_into().map_err(|_| anyhow!("a value of 8 bytes, not {}", hex::encode(reply)))?;
    Ok(u64::from_le_bytes(bytes))
}

/// The value of a canister with one of these modules, asked by query.
///
/// # Errors
/// There is no answer.
pub async fn get(client: &Client, canister: CanisterId) -> Result<u64> {
    value(&client.query(canister, "get", Vec::new()).await?)
}
