//! From the sender's key to the key that signed: the chain of delegations.

use crate::{AuthError, RootOfTrust, SignatureError, UserKey, domain};
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
    /// Units of work that its signatures count for in a block.
    pub(crate) signature_units: u32,
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

/// The keys of a chain, the sender's first.
pub(crate) struct Keys(Vec<UserKey>);

impl Keys {
    /// Reads the keys. Looks at no signature.
    pub(crate) fn of(sender_key: &[u8], chain: &[SignedDelegation]) -> Result<Self, AuthError> {
        let ders = std::iter::once(sender_key).chain(chain.iter().map(|signed| &signed.delegation.pubkey[..]));
        let keys: Vec<UserKey> = ders.map(UserKey::from_der).collect::<Result<_, _>>()?;
        let (actual, limit) =
            (keys.iter().filter(|key| key.canister().is_some()).count(), limits::CANISTER_SIGNATURES_MAX);
        if actual > limit {
            return Err(AuthError::CanisterSignaturesTooMany { actual, limit });
        }
        Ok(Self(keys))
    }

    /// Checks that each key signed the delegation to the next, and the last one the request.
    pub(crate) fn check(
        &self,
        chain: &[SignedDelegation],
        request: &[u8],
        signature: &[u8],
        trust: &RootOfTrust,
    ) -> Result<(), AuthError> {
        let mut keys = self.0.iter();
        for (index, (SignedDelegation { delegation, signature }, key)) in chain.iter().zip(&mut keys).enumerate() {
            key.verify(&domain::delegation_signable(&delegation.hash()), signature, trust)
                .map_err(|why| AuthError::DelegationInvalid { index, why })?;
        }
        match keys.next() {
            Some(last) => last.verify(request, signature, trust).map_err(AuthError::SignatureInvalid),
            None => Err(AuthError::SignatureInvalid(SignatureError::Wrong)),
        }
    }

    /// Units of work that the signatures count for in a block.
    pub(crate) fn signature_units(&self) -> u32 {
        self.0.iter().map(UserKey::signature_units).sum()
    }
}
