//! Which members signed states lately with their share of the chain key, as this replica saw it: what it says about them in
//! the blocks it proposes. Spec: `specs/consensus.md`, "What the proposer saw".
//!
//! Who signed a certificate that was put together here is known for nothing. A share that was not needed for one is verified,
//! which costs a millisecond, so at most one of a member in 16 heights is.

use mains_consensus::{ChainKey, Partial};
use mains_types::{Digest32, Height};
use std::collections::BTreeMap;

/// Certified heights between two looks at the shares of one member.
const CHECK_INTERVAL: u64 = 16;
/// Certified heights that a valid share is remembered for: two looks.
const LATELY: u64 = 2 * CHECK_INTERVAL;
/// Executed heights whose roots are known: shares over others are not looked at.
const ROOTS_MAX: usize = 128;

/// What is known about the shares of all members.
#[derive(Debug, Default)]
pub(crate) struct Shares {
    /// Roots that this replica computed.
    roots: BTreeMap<Height, Digest32>,
    /// The newest certified height.
    certified: u64,
    /// By member: `certified` when a valid share of it was seen last.
    signed: BTreeMap<u32, u64>,
    /// By member: `certified` when a share of it was verified last.
    checked: BTreeMap<u32, u64>,
    /// A share that was not needed, one a member.
    spare: BTreeMap<u32, Partial>,
}

impl Shares {
    /// This replica computed the root of a height.
    pub(crate) fn executed(&mut self, height: Height, root: Digest32) {
        self.roots.insert(height, root);
        while self.roots.len() > ROOTS_MAX {
            self.roots.pop_first();
        }
    }

    /// Takes a share that may turn out not to be needed. Its index is its sender's.
    pub(crate) fn offered(&mut self, partial: &Partial) {
        let oldest = self.roots.first_key_value().map_or(Height::ZERO, |(height, _)| *height);
        let in_reach = (oldest.get()..=self.certified + ROOTS_MAX as u64).contains(&partial.height.get());
        if in_reach && !self.is_fresh(partial.index) {
            self.spare.entry(partial.index).or_insert_with(|| partial.clone());
        }
    }

    /// A height is certified; `signers` are known to have signed it. Looks at shares of the others.
    pub(crate) fn certified(&mut self, height: Height, signers: &[u32], chain_key: &ChainKey) {
        self.certified = self.certified.max(height.get());
        for index in signers {
            self.signed.insert(*index, self.certified);
            self.spare.remove(index);
        }
        let newest = self.roots.last_key_value().map_or(Height::ZERO, |(height, _)| *height);
        let ripe: Vec<u32> =
            self.spare.iter().filter(|(_, spare)| spare.height <= newest).map(|(index, _)| *index).collect();
        for index in ripe {
            let Some(spare) = self.spare.remove(&index).filter(|_| !self.is_fresh(index)) else { continue };
            self.checked.insert(index, self.certified);
            if self.roots.get(&spare.height) == Some(&spare.root) && chain_key.verify_share(&spare) {
                self.signed.insert(index, self.certified);
            }
        }
    }

    /// Members, by index, of whom a valid share came lately.
    pub(crate) fn lately(&self) -> u128 {
        let lately = self.signed.iter().filter(|(_, at)| **at + LATELY > self.certified);
        lately.filter_map(|(index, _)| 1_u128.checked_shl(*index)).fold(0, |all, bit| all | bit)
    }

    /// Whether a member is not to be looked at yet.
    fn is_fresh(&self, index: u32) -> bool {
        let recent = |of: &BTreeMap<u32, u64>| of.get(&index).is_some_and(|at| at + CHECK_INTERVAL > self.certified);
        recent(&self.signed) || recent(&self.checked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMBERS: u8 = 4;

    fn chain_keys() -> Vec<ChainKey> {
        let (dealt, shares) = ChainKey::deal(u32::from(MEMBERS), [7; 32]);
        let members: Vec<[u8; 32]> = (0..MEMBERS).map(|member| [member; 32]).collect();
        let decode = |share: &Vec<u8>| ChainKey::decode(members.clone(), &dealt.encode(), Some(share)).unwrap();
        shares.iter().map(decode).collect()
    }

    fn root(height: u64) -> Digest32 {
        [height as u8; 32]
    }

    /// Executes and certifies by the first three; the last one's share comes after that if `share` makes one.
    fn run(
        shares: &mut Shares,
        keys: &[ChainKey],
        heights: std::ops::Range<u64>,
        share: impl Fn(u64) -> Option<Partial>,
    ) {
        for height in heights {
            shares.executed(Height(height), root(height));
            shares.certified(Height(height), &[0, 1, 2], &keys[0]);
            if let Some(partial) = share(height) {
                shares.offered(&partial);
            }
        }
    }

    #[test]
    fn a_share_that_always_comes_late_is_seen_all_the_time() {
        let keys = chain_keys();
        let mut shares = Shares::default();
        let late = |height: u64| keys[3].sign(Height(height), root(height));
        run(&mut shares, &keys, 1..3, late);
        for height in 3..200 {
            run(&mut shares, &keys, height..height + 1, late);
            assert_eq!(shares.lately(), 0b1111, "height {height}");
        }
        run(&mut shares, &keys, 200..200 + LATELY, |_| None);
        assert_eq!(shares.lately(), 0b0111, "it fell silent");
    }

    #[test]
    fn wrong_shares_count_for_nothing_and_cost_one_look_in_sixteen_heights() {
        let keys = chain_keys();
        for forged in [
            |keys: &[ChainKey], height| keys[3].sign(Height(height), [0xee; 32]),
            |keys: &[ChainKey], height| Some(Partial { index: 3, ..keys[2].sign(Height(height), root(height))? }),
            |keys: &[ChainKey], height| keys[3].sign(Height(height + 100_000), root(height)),
        ] {
            let mut shares = Shares::default();
            run(&mut shares, &keys, 1..100, |height| forged(&keys, height));
            assert_eq!(shares.lately(), 0b0111);
            let honest = |height| keys[3].sign(Height(height), root(height));
            run(&mut shares, &keys, 100..100 + 2 * CHECK_INTERVAL, honest);
            assert_eq!(shares.lately(), 0b1111, "it is honest again");
        }
    }

    #[test]
    fn a_share_that_comes_before_its_height_is_executed_here_is_looked_at_later() {
        let keys = chain_keys();
        let mut shares = Shares::default();
        run(&mut shares, &keys, 1..2, |_| keys[3].sign(Height(5), root(5)));
        run(&mut shares, &keys, 2..6, |_| None);
        assert_eq!(shares.lately(), 0b1111);
    }
}
