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

fn allow(bench: &mut Bench, amount: Nat) {
    let args = ApproveArgs {
        from_subaccount: None,
        spender: account(bob()),
        amount,
        expected_allowance: None,
        expires_at: None,
        fee: None,
        memo: None,
        created_at_time: None,
    };
    let allowed = reply(bench.call(alice(), cycles_ledger_id(), "icrc2_approve", &args));
    decode::<Result<Nat, ApproveError>>(&allowed).unwrap();
}

/// Bob takes from Alice what she allows.
fn take(bench: &mut Bench, to: Principal, amount: impl Into<Nat>) -> Result<Nat, TransferFromError> {
    let args = TransferFromArgs {
        spender_subaccount: None,
        from: account(alice()),
        to: account(to),
        amount: amount.into(),
        fee: None,
        memo: None,
        created_at_time: None,
    };
    decode(&reply(bench.call(bob(), cycles_ledger_id(), "icrc2_transfer_from", &args)))
}

#[test]
fn an_allowance_without_end_takes_no_more_than_there_is() {
    let mut bench = Bench::new();
    for allowed in [Nat::from(u128::MAX), Nat::from(u128::MAX) + Nat::from(1_u8)] {
        allow(&mut bench, allowed);
        let (before, all) = (bench.state.ledger.digest(), balance(&bench, alice()));
        for amount in [u128::MAX, u128::MAX - FEE, u128::MAX - FEE + 1, 1 << 126, all, all - FEE + 1] {
            assert!(take(&mut bench, bob(), amount).is_err(), "{amount}");
        }
        assert!(take(&mut bench, bob(), Nat::from(u128::MAX) + Nat::from(FEE)).is_err());
        assert_eq!(bench.state.ledger.digest(), before);
    }
    let all = balance(&bench, alice());
    take(&mut bench, bob(), all - FEE).unwrap();
    assert_eq!((balance(&bench, alice()), balance(&bench, bob())), (0, all - FEE));
}

#[test]
fn what_a_spender_gives_back_to_its_owner_uses_up_the_allowance_and_pays_the_fee() {
    let mut bench = Bench::new();
    allow(&mut bench, (3 * FEE).into());
    let before = balance(&bench, alice());
    take(&mut bench, alice(), FEE).unwrap();
    assert_eq!(balance(&bench, alice()), before - FEE);
    let refused = take(&mut bench, alice(), FEE);
    assert_eq!(refused, Err(TransferFromError::InsufficientAllowance { allowance: FEE.into() }));
    take(&mut bench, alice(), 0_u8).unwrap();
    assert!(take(&mut bench, alice(), 0_u8).is_err(), "nothing is left for the fee");
}

#[test]
fn nobody_names_a_fee_of_his_own() {
    let mut bench = Bench::new();
    let before = bench.state.ledger.digest();
    for fee in [0, 1, FEE - 1, FEE + 1, u128::MAX] {
        let arg = TransferArg { fee: Some(fee.into()), ..transfer_arg(bob(), 5) };
        let refused = transfer(&mut bench, alice(), &arg);
        assert_eq!(refused, Err(TransferError::BadFee { expected_fee: FEE.into() }));
    }
    assert_eq!(bench.state.ledger.digest(), before);
}

#[test]
fn dust_and_too_much_for_canisters_cost_the_fee_or_are_refused() {
    #[derive(CandidType)]
    struct Deposit {
        to: IcrcAccount,
    }
    let mut bench = Bench::new();
    let id = create(&mut bench, &create_args(2 * CREDIT)).unwrap().canister_id;
    let (mine, its) = (balance(&bench, alice()), bench.state.ledger.canister_balance(&id).get());
    withdraw(&mut bench, alice(), 1_u8, id).unwrap();
    assert_eq!((balance(&bench, alice()), bench.state.ledger.canister_balance(&id).get()), (mine - FEE - 1, its + 1));
    let deposit = Deposit { to: account(bob()) };
    let before = bench.state.ledger.canister_balance(&id);
    for dust in [0, 1, FEE - 1] {
        let refused = bench.call_from(id, dust, cycles_ledger_id(), "deposit", &deposit);
        assert!(matches!(refused, Outcome::Reject(_)), "{dust}");
    }
    assert_eq!((bench.state.ledger.canister_balance(&id), balance(&bench, bob())), (before, 0), "all came back");
    let digest = bench.state.ledger.digest();
    for amount in [u128::MAX, u128::MAX - FEE + 1, 1 << 127] {
        assert!(create(&mut bench, &create_args(amount)).is_err());
        let arg = ic::ProvisionalTopUpCanisterArgs { canister_id: id, amount: amount.into() };
        bench.refused(alice(), "provisional_top_up_canister", &arg);
    }
    assert_eq!(bench.state.ledger.digest(), digest);
}
