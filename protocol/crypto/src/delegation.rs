//! From the sender's key to the key that signed: the chain of delegations.

use crate::{AuthError, UserKey, domain};
use mains_types::{CanisterId, UnixNanos, limits};
use mains_wire::{Permissions, SignedDelegation};
use std::collections::BTreeSet;

/// What a chain allows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scope {
    /// Canisters it is good for; `None`: all.
    pub(crate) targets: Option<BTreeSet<CanisterId>>,
    /// The first delegation that allows only queries.
    pub(crate) queries_only: Option<usize>,
    /// The end of the delegation that ends first, and its place.
    pub(crate) end: Option<(UnixNanos, usize)>,
}

impl Scope {
    /// What a chain allows, if the chain itself is right: lengths and no key twice. Looks at no signature.
    pub(crate) fn of(sender_key: &[u8], chain: &[SignedDelegation]) -> Result<Self, AuthError> {
        if chain.len() > limits::DELEGATIONS_MAX {
            return Err(AuthError::DelegationsTooMany { actual: chain.len(), limit: limits::DELEGATIONS_MAX });
        }
        let mut scope = Self::default();
        let mut keys = BTreeSet::from([sender_key]);
        for (index, SignedDelegation { delegation, .. }) in chain.iter().enumerate() {
            if !keys.insert(&delegation.pubkey) {
                return Err(AuthError::DelegationCycle { index });
            }
            if let Some(targets) = &delegation.targets {
                let (actual, limit) = (targets.len(), limits::DELEGATION_TARGETS_MAX);
                if actual > limit {
                    return Err(AuthError::TargetsTooMany { index, actual, limit });
                }
                let targets: BTreeSet<_> = targets.iter().copied().collect();
                scope.targets = Some(match scope.targets {
                    None => targets,
                    Some(before) => before.intersection(&targets).copied().collect(),
                });
            }
            if delegation.permissions == Some(Permissions::Queries) {
                scope.queries_only = scope.queries_only.or(Some(index));
            }
            let end = (delegation.expiration, index);
            scope.end = Some(scope.end.map_or(end, |first| first.min(end)));
        }
        Ok(scope)
    }

    pub(crate) fn check_time(&self, now: UnixNanos) -> Result<(), AuthError> {
        match self.end {
            Some((expiration, index)) if expiration <= now => {
                Err(AuthError::DelegationExpired { index, expiration, now })
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn check_target(&self, canister: CanisterId) -> Result<(), AuthError> {
        match &self.targets {
            Some(targets) if !targets.contains(&canister) => Err(AuthError::TargetNotAllowed { canister }),
            _ => Ok(()),
        }
    }

    pub(crate) fn check_calls(&self) -> Result<(), AuthError> {
        self.queries_only.map_or(Ok(()), |index| Err(AuthError::QueriesOnly { index }))
    }
}

/// The key at the end of a chain whose signatures all verify.
pub(crate) fn signing_key(sender_key: &[u8], chain: &[SignedDelegation]) -> Result<UserKey, AuthError> {
    let mut key = UserKey::from_der(sender_key)?;
    for (index, SignedDelegation { delegation, signature }) in chain.iter().enumerate() {
        if !key.verify(&domain::delegation_signable(&delegation.hash()), signature) {
            return Err(AuthError::DelegationInvalid { index });
        }
        key = UserKey::from_der(&delegation.pubkey)?;
    }
    Ok(key)
}
