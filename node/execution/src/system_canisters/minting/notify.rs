//! ICP that was sent to the minting canister becomes cycles, on test networks: one ICP is one credit. Each transfer counts
//! once; asked again about it the canister answers what it answered before.

use crate::{
    calls::SystemCall,
    management::{codec, lifecycle},
    system_canisters::{
        cycles_ledger,
        icp_ledger::{
            self, AccountIdentifier, account_identifier,
            blocks::{self, Operation},
        },
        icrc,
    },
};
use candid::{CandidType, Deserialize, Nat, Principal};
use ic_management_canister_types::CanisterSettings;
use icrc_ledger_types::icrc1::account::{Account as IcrcAccount, Subaccount};
use mains_ledger::{Account, Member};
use mains_state::{State, Table};
use mains_types::{Cycles, Reject, ids::cycles_minting_id};

/// Cycles for 10^-8 ICP.
pub(super) const CYCLES_PER_E8S: u128 = 10_000;

/// Memos by which a transfer says what it is for.
const TOP_UP: u64 = 0x5055_5054;
const CREATE: u64 = 0x4145_5243;
const MINT: u64 = 0x544e_494d;

#[derive(CandidType, Deserialize, Debug)]
pub(super) enum NotifyError {
    Refunded { reason: String, block_index: Option<u64> },
    InvalidTransaction(String),
    Other { error_code: u64, error_message: String },
    Processing,
    TransactionTooOld(u64),
}

#[derive(CandidType, Deserialize)]
struct TopUpArgs {
    block_index: u64,
    canister_id: Principal,
}

#[derive(CandidType, Deserialize)]
struct CreateArgs {
    block_index: u64,
    controller: Principal,
    settings: Option<CanisterSettings>,
}

#[derive(CandidType, Deserialize)]
struct MintArgs {
    block_index: u64,
    to_subaccount: Option<Subaccount>,
}

#[derive(CandidType, Deserialize, Debug)]
struct Minted {
    block_index: Nat,
    minted: Nat,
    balance: Nat,
}

/// A transfer that may be turned into cycles.
struct Payment {
    block: u64,
    from: AccountIdentifier,
    account: AccountIdentifier,
    e8s: u64,
}

impl Payment {
    fn cycles(&self) -> Cycles {
        Cycles(u128::from(self.e8s) * CYCLES_PER_E8S)
    }
}

/// `notify_top_up`.
pub(super) fn top_up(call: &mut SystemCall<'_>) -> Result<Vec<u8>, Reject> {
    let (args,) = codec::decode::<(TopUpArgs,)>(call.method, call.argument)?;
    Ok(once(call, args.block_index, TOP_UP, &args.canister_id, |call, cycles| {
        if call.state.canister(&args.canister_id).is_none() {
            return Err(format!("Canister {} not found", args.canister_id));
        }
        mint(call, &args.canister_id, cycles)?;
        Ok(Nat::from(cycles.get()))
    }))
}

/// `notify_create_canister`, by the controller: whoever calls chooses the settings.
pub(super) fn create_canister(call: &mut SystemCall<'_>) -> Result<Vec<u8>, Reject> {
    let (args,) = codec::decode::<(CreateArgs,)>(call.method, call.argument)?;
    if call.sender != args.controller {
        let why = format!("Only {} may create a canister for itself.", args.controller);
        return Ok(codec::encode(&Err::<Principal, _>(NotifyError::InvalidTransaction(why))));
    }
    Ok(once(call, args.block_index, CREATE, &args.controller, |call, cycles| {
        let by = (args.controller, None);
        let id = lifecycle::new_canister(call.state, by, args.settings.unwrap_or_default(), None);
        let id = id.map_err(|reject| reject.message)?;
        mint(call, &id, cycles)?;
        lifecycle::charge_creation(call.state, &id).map_err(|reject| reject.message)?;
        Ok(id)
    }))
}

/// `notify_mint_cycles`: for the caller's account at the cycles ledger.
pub(super) fn mint_cycles(call: &mut SystemCall<'_>) -> Result<Vec<u8>, Reject> {
    let (args,) = codec::decode::<(MintArgs,)>(call.method, call.argument)?;
    let to = icrc::member(IcrcAccount { owner: call.sender, subaccount: args.to_subaccount });
    let sender = call.sender;
    Ok(once(call, args.block_index, MINT, &sender, |call, cycles| {
        let block = cycles_ledger::mint(call.state, &to, cycles).ok_or("there would be too many cycles")?;
        let balance = cycles_ledger::balance(call.state, &to);
        Ok(Minted { block_index: block.into(), minted: cycles.get().into(), balance: balance.into() })
    }))
}

/// Spends the transfer in a block once. What fails sends the ICP back, and is what is answered ever after.
fn once<T: CandidType>(
    call: &mut SystemCall<'_>,
    block: u64,
    memo: u64,
    beneficiary: &Principal,
    spend: impl FnOnce(&mut SystemCall<'_>, Cycles) -> Result<T, String>,
) -> Vec<u8> {
    let key = [&block.to_be_bytes()[..], &memo.to_be_bytes(), beneficiary.as_slice()].concat();
    if let Some(answer) = call.state.tokens.get(Table::Notified, &key) {
        return answer.to_vec();
    }
    let payment = match payment(call, block, memo, beneficiary) {
        Ok(payment) => payment,
        Err(why) => return codec::encode(&Err::<T, _>(NotifyError::InvalidTransaction(why))),
    };
    let before = call.state.clone();
    let outcome = spend(call, payment.cycles()).map_err(|reason| {
        *call.state = before;
        // It is there: nobody but this canister can move it.
        let _ = icp_ledger::give(call.state, &payment.account, &payment.from, payment.e8s);
        NotifyError::Refunded { reason, block_index: None }
    });
    if outcome.is_ok() {
        let own = account_identifier(&Member::new(cycles_minting_id(), None));
        let _ = icp_ledger::give(call.state, &payment.account, &own, payment.e8s);
    }
    let answer = codec::encode(&outcome);
    forget_outdated(call.state);
    call.state.tokens.put(Table::Notified, &key, answer.clone());
    call.state.tokens.put(Table::Notified, &payment.block.to_be_bytes(), Vec::new());
    answer
}

/// Forgets what was answered about blocks that are not kept any more: nobody can ask about them again.
fn forget_outdated(state: &mut State) {
    while let Some(oldest) = state.tokens.first_key(Table::Notified) {
        let block = oldest.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
        if blocks::find(state, block).is_some() {
            break;
        }
        state.tokens.remove(Table::Notified, &oldest);
    }
}

/// The transfer in a block, if it is for this purpose and was not used.
fn payment(call: &SystemCall<'_>, block: u64, memo: u64, beneficiary: &Principal) -> Result<Payment, String> {
    let found = blocks::find(call.state, block).ok_or_else(|| format!("There is no block {block}."))?;
    let transaction = found.transaction;
    let Some(Operation::Transfer { from, to, amount, .. }) = transaction.operation else {
        return Err(format!("Block {block} is no transfer."));
    };
    let names_purpose =
        transaction.memo == memo || transaction.icrc1_memo.is_some_and(|bytes| bytes[..] == memo.to_le_bytes());
    if !names_purpose {
        return Err(format!("The memo of block {block} is not the one of {}.", call.method));
    }
    let account = account_identifier(&Member::new(cycles_minting_id(), Some(subaccount(beneficiary))));
    if to[..] != account {
        return Err(format!("Block {block} does not pay into the account of {beneficiary} at this canister."));
    }
    if call.state.tokens.get(Table::Notified, &block.to_be_bytes()).is_some() {
        return Err(format!("Block {block} was used already."));
    }
    let from = AccountIdentifier::try_from(&from[..]).map_err(|_| format!("Block {block} names no payer."))?;
    Ok(Payment { block, from, account, e8s: amount.e8s })
}

fn mint(call: &mut SystemCall<'_>, canister: &Principal, cycles: Cycles) -> Result<(), String> {
    let minted = call.state.ledger.mint(&Account::Canister(*canister), cycles);
    minted.map(drop).map_err(|error| error.to_string())
}

/// The subaccount of a principal at this canister.
pub(super) fn subaccount(principal: &Principal) -> Subaccount {
    let mut subaccount = [0; 32];
    subaccount[0] = principal.as_slice().len() as u8;
    subaccount[1..=principal.as_slice().len()].copy_from_slice(principal.as_slice());
    subaccount
}
