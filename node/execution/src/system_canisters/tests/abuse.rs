//! What somebody might try with money that is not theirs, or is nobody's.

use super::*;
use icrc_ledger_types::icrc1::transfer::Memo;

fn withdraw(bench: &mut Bench, from: Principal, amount: impl Into<Nat>, to: Principal) -> Result<Nat, WithdrawError> {
    let arg = Withdraw { amount: amount.into(), to };
    decode(&reply(bench.call(from, cycles_ledger_id(), "withdraw", &arg)))
}

#[test]
fn a_transfer_to_oneself_costs_the_fee_and_makes_nothing() {
    let mut bench = Bench::new();
    let before = balance(&bench, alice());
    for amount in [0, 1, CREDIT, before - FEE] {
        bench = Bench::new();
        transfer(&mut bench, alice(), &transfer_arg(alice(), amount)).unwrap();
        assert_eq!(balance(&bench, alice()), before - FEE);
        assert_eq!(bench.state.ledger.balance(&Account::Commons), Cycles(FEE));
    }
    let all = transfer(&mut bench, alice(), &transfer_arg(alice(), before));
    assert!(matches!(all, Err(TransferError::InsufficientFunds { .. })), "the fee comes on top");
}

#[test]
fn dust_pays_the_whole_fee_so_that_splitting_gains_nothing() {
    let mut bench = Bench::new();
    let before = balance(&bench, alice());
    for _ in 0..50 {
        transfer(&mut bench, alice(), &transfer_arg(bob(), 1)).unwrap();
    }
    assert_eq!((balance(&bench, bob()), balance(&bench, alice())), (50, before - 50 * (FEE + 1)));
    let back = transfer(&mut bench, bob(), &transfer_arg(alice(), 1));
    assert_eq!(back, Err(TransferError::InsufficientFunds { balance: 50_u8.into() }));
}

#[test]
fn amounts_at_the_edge_of_128_bits_are_refused_and_change_nothing() {
    let mut bench = Bench::new();
    let before = bench.state.ledger.digest();
    let edges = [u128::MAX, u128::MAX - FEE, u128::MAX - FEE + 1, 1 << 127, (1 << 126) + 1];
    for amount in edges.map(Nat::from).into_iter().chain([Nat::from(u128::MAX) + Nat::from(1_u8)]) {
        let arg = TransferArg { amount: amount.clone(), ..transfer_arg(bob(), 0) };
        assert!(matches!(transfer(&mut bench, alice(), &arg), Err(TransferError::InsufficientFunds { .. })));
        assert!(withdraw(&mut bench, alice(), amount, canister_id(5)).is_err());
    }
    assert_eq!(bench.state.ledger.digest(), before);
}

#[test]
fn a_replay_is_a_duplicate_whoever_else_sends_the_same() {
    let mut bench = Bench::new();
    let now = bench.state.time.get();
    let arg =
        TransferArg { created_at_time: Some(now), memo: Some(Memo(vec![1].into())), ..transfer_arg(bob(), CREDIT) };
    let first = transfer(&mut bench, alice(), &arg).unwrap();
    let paid = balance(&bench, alice());
    for _ in 0..3 {
        assert_eq!(transfer(&mut bench, alice(), &arg), Err(TransferError::Duplicate { duplicate_of: first.clone() }));
    }
    assert_eq!(balance(&bench, alice()), paid);
    // Another sender's transaction is another one, and so is one with another memo.
    assert!(transfer(&mut bench, bob(), &TransferArg { to: account(alice()), ..arg.clone() }).is_err());
    assert!(transfer(&mut bench, alice(), &TransferArg { memo: None, ..arg }).is_ok());
}

#[test]
fn nothing_is_lost_to_a_canister_that_is_not_there() {
    let mut bench = Bench::new();
    let before = (balance(&bench, alice()), bench.state.ledger.digest());
    for to in [canister_id(0xfff), Principal::management_canister(), Principal::anonymous(), cycles_ledger_id()] {
        let refused = withdraw(&mut bench, alice(), CREDIT, to);
        assert!(matches!(refused, Err(WithdrawError::FailedToWithdraw { .. })), "{to}");
    }
    assert_eq!((balance(&bench, alice()), bench.state.ledger.digest()), before);
}

#[test]
fn a_call_that_names_no_method_or_brings_too_much_takes_no_place_in_a_block() {
    let bench = Bench::new();
    let inspect = |canister, method: &str, bytes: usize| {
        crate::system_canisters::inspect(&bench.state, &canister, method, &vec![0; bytes])
    };
    for canister in [cycles_ledger_id(), mains_types::ids::icp_ledger_id()] {
        assert_eq!(inspect(canister, "icrc1_transfer", 100), Ok(()));
        assert_eq!(inspect(canister, "icrc1_balance_of", 100), Ok(()));
        assert_eq!(inspect(canister, "__get_candid_interface_tmp_hack", 6), Ok(()));
        assert!(inspect(canister, "icrc1_transfe", 100).is_err());
        assert!(inspect(canister, "", 0).is_err());
        assert!(inspect(canister, "icrc1_transfer", (16 << 10) + 1).is_err());
    }
    assert_eq!(inspect(mains_types::ids::cycles_minting_id(), "notify_top_up", 100), Ok(()));
}
