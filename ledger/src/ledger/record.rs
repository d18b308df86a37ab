//! The books as a checkpoint holds them: what cannot be derived, checked in full when it comes back.

use super::*;

/// What is kept of a [`Ledger`].
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Record {
    tariff: Arc<Tariff>,
    past_tariffs: Vector<Arc<Tariff>>,
    issued: u128,
    redeemed: u128,
    next_transfer: u64,
    period: u64,
    canisters: OrdMap<CanisterId, Arc<CanisterAccount>>,
    members: OrdMap<Member, u128>,
    operators: OrdMap<Principal, u128>,
    in_flight: u128,
    income: [u128; Resource::COUNT],
    reserve: u128,
    commons: u128,
    rounding: u128,
    charged: [u128; Resource::COUNT],
    closed: [u128; Resource::COUNT],
    journal_head: Digest32,
}

impl From<Ledger> for Record {
    fn from(ledger: Ledger) -> Self {
        Self {
            tariff: ledger.tariff,
            past_tariffs: ledger.past_tariffs,
            issued: ledger.issued,
            redeemed: ledger.redeemed,
            next_transfer: ledger.next_transfer,
            period: ledger.period,
            canisters: ledger.canisters,
            members: ledger.members,
            operators: ledger.operators,
            in_flight: ledger.in_flight,
            income: ledger.income,
            reserve: ledger.reserve,
            commons: ledger.commons,
            rounding: ledger.rounding,
            charged: ledger.charged,
            closed: ledger.closed,
            journal_head: ledger.journal_head,
        }
    }
}

impl TryFrom<Record> for Ledger {
    type Error = String;

    fn try_from(record: Record) -> Result<Self, String> {
        record.tariff.validate().map_err(|error| error.to_string())?;
        let totals = (
            check::sum(record.canisters.values().map(|account| account.balance)),
            check::sum(record.members.values().copied()),
            check::sum(record.operators.values().copied()),
        );
        let (Some(canisters_total), Some(members_total), Some(operators_total)) = totals else {
            return Err("balances do not fit".into());
        };
        let mut ledger = Self {
            tariff: record.tariff,
            past_tariffs: record.past_tariffs,
            issued: record.issued,
            redeemed: record.redeemed,
            next_transfer: record.next_transfer,
            period: record.period,
            now: Moment::default(),
            canisters: record.canisters,
            members: record.members,
            operators: record.operators,
            in_flight: record.in_flight,
            income: record.income,
            reserve: record.reserve,
            commons: record.commons,
            rounding: record.rounding,
            charged: record.charged,
            closed: record.closed,
            journal_head: record.journal_head,
            canisters_total,
            members_total,
            operators_total,
            lattice: Arc::default(),
            touched_canisters: OrdMap::new(),
            touched_members: OrdMap::new(),
            entries: Vector::new(),
            chained: 0,
            began: super::check::Totals::default(),
            period_is_new: false,
            folded: OnceLock::new(),
        };
        ledger.began = ledger.totals();
        ledger.check_full()?;
        ledger.lattice = Arc::new(ledger.whole_lattice());
        Ok(ledger)
    }
}
