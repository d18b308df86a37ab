//! The canisters that are built in: those of the Internet Computer at the ids they have there, so that its tools find them, and
//! the utility. What they do
//! is the business of `mains_execution::system_canisters`; here is what the certified tree says about them.

use crate::Subnet;
use mains_types::{
    CanisterId,
    ids::{cycles_ledger_id, cycles_minting_id, icp_ledger_id, utility_id},
};

/// A built-in canister.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuiltIn {
    /// Members' cycles as a token.
    CyclesLedger,
    /// The cycles minting canister's surface.
    CyclesMinting,
    /// Tariff, settlements, alerts.
    Utility,
    /// The ICP ledger's surface, on test networks.
    IcpLedger,
}

impl BuiltIn {
    /// Those of a subnet.
    pub fn all(subnet: &Subnet) -> impl Iterator<Item = Self> + use<> {
        let icp = subnet.is_test.then_some(Self::IcpLedger);
        [Self::CyclesLedger, Self::CyclesMinting, Self::Utility].into_iter().chain(icp)
    }

    /// The one of a subnet with this id.
    pub fn find(subnet: &Subnet, id: &CanisterId) -> Option<Self> {
        Self::all(subnet).find(|built_in| built_in.id() == *id)
    }

    /// Its id.
    pub fn id(self) -> CanisterId {
        match self {
            Self::CyclesLedger => cycles_ledger_id(),
            Self::CyclesMinting => cycles_minting_id(),
            Self::Utility => utility_id(),
            Self::IcpLedger => icp_ledger_id(),
        }
    }

    /// Its Candid interface, as its `candid:service` metadata.
    pub const fn interface(self) -> &'static str {
        match self {
            Self::CyclesLedger => include_str!("built_in/cycles_ledger.did"),
            Self::CyclesMinting => include_str!("built_in/minting.did"),
            Self::Utility => include_str!("built_in/utility.did"),
            Self::IcpLedger => include_str!("built_in/icp_ledger.did"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candid_parser::{IDLProg, candid::TypeEnv, check_prog};

    #[test]
    fn interfaces_are_valid_candid() {
        for built_in in [BuiltIn::CyclesLedger, BuiltIn::CyclesMinting, BuiltIn::Utility, BuiltIn::IcpLedger] {
            let program: IDLProg = built_in.interface().parse().unwrap_or_else(|error| panic!("{built_in:?}: {error}"));
            let actor = check_prog(&mut TypeEnv::new(), &program);
            let actor = actor.unwrap_or_else(|error| panic!("{built_in:?}: {error}"));
            assert!(actor.is_some(), "{built_in:?} is a service");
        }
    }
}
