//! The digest of the books: BLAKE3 over everything but the two large maps, and a lattice hash of those.
//!
//! A lattice hash (LtHash16, Bellare and Micciancio 1997, Lewi et al. 2019) is the lane-wise sum of the extended hashes
//! of all entries: an entry that changes costs one subtraction and one addition, however many there are, and the result
//! depends on the content only, never on its history. 1,024 lanes of 16 bits give about 200 bits of security.

use super::*;

const LANES: usize = 1024;

/// The lattice hash of a set of entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lattice([u16; LANES]);

impl Default for Lattice {
    fn default() -> Self {
        Self([0; LANES])
    }
}

impl Lattice {
    fn apply(&mut self, entry: blake3::Hasher, operation: fn(u16, u16) -> u16) {
        let mut bytes = [0u8; LANES * 2];
        entry.finalize_xof().fill(&mut bytes);
        for (lane, pair) in self.0.iter_mut().zip(bytes.chunks_exact(2)) {
            *lane = operation(*lane, u16::from_le_bytes([pair[0], pair[1]]));
        }
    }

    fn add(&mut self, entry: blake3::Hasher) {
        self.apply(entry, u16::wrapping_add);
    }

    fn remove(&mut self, entry: blake3::Hasher) {
        self.apply(entry, u16::wrapping_sub);
    }
}

impl Ledger {
    /// The digest of everything that replicas must agree on, but for the head of the journal, which depends on how the books
    /// came to be what they are and is certified beside it. Its cost grows with what changed since the last
    /// [`Ledger::take_journal`], not with the number of accounts.
    pub fn digest(&self) -> Digest32 {
        let mut hasher = blake3::Hasher::new_derive_key("mains 2026 ledger digest v1");
        for tariff in self.tariffs() {
            hasher.update(&tariff.encode());
        }
        hasher.update(&self.next_transfer.to_le_bytes());
        hasher.update(&self.period.to_le_bytes());
        let single = [self.issued, self.redeemed, self.in_flight, self.reserve, self.commons, self.rounding];
        for amount in single.iter().chain(&self.income).chain(&self.charged).chain(&self.closed) {
            hasher.update(&amount.to_le_bytes());
        }
        hasher.update(&(self.operators.len() as u64).to_le_bytes());
        for (operator, balance) in &self.operators {
            principal(&mut hasher, operator);
            hasher.update(&balance.to_le_bytes());
        }
        for lane in self.current_lattice().0 {
            hasher.update(&lane.to_le_bytes());
        }
        *hasher.finalize().as_bytes()
    }

    /// The lattice hash with the changes since the last journal, computed once per change.
    pub(super) fn current_lattice(&self) -> Arc<Lattice> {
        self.folded.get_or_init(|| Arc::new(self.fold())).clone()
    }

    fn fold(&self) -> Lattice {
        let mut lattice = self.lattice.as_ref().clone();
        for (id, touched) in &self.touched_canisters {
            if let Some(account) = &touched.digested {
                lattice.remove(canister_entry(id, account));
            }
            if let Some(account) = self.canisters.get(id) {
                lattice.add(canister_entry(id, account));
            }
        }
        for (member, before) in &self.touched_members {
            if *before != 0 {
                lattice.remove(member_entry(member, *before));
            }
            if let Some(balance) = self.members.get(member) {
                lattice.add(member_entry(member, *balance));
            }
        }
        lattice
    }

    /// The lattice hash from scratch, for books just loaded.
    pub(super) fn whole_lattice(&self) -> Lattice {
        let mut lattice = Lattice::default();
        self.canisters.iter().for_each(|(id, account)| lattice.add(canister_entry(id, account)));
        self.members.iter().for_each(|(member, balance)| lattice.add(member_entry(member, *balance)));
        lattice
    }
}

fn canister_entry(id: &CanisterId, account: &CanisterAccount) -> blake3::Hasher {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"canister");
    principal(&mut hasher, id);
    hasher.update(&account.encode());
    hasher
}

fn member_entry(member: &Member, balance: u128) -> blake3::Hasher {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"member");
    principal(&mut hasher, &member.owner);
    hasher.update(&member.subaccount.unwrap_or_default());
    hasher.update(&balance.to_le_bytes());
    hasher
}

/// A principal with its length, so that what follows cannot be read as part of it.
fn principal(hasher: &mut blake3::Hasher, id: &Principal) {
    let bytes = id.as_slice();
    hasher.update(&[bytes.len() as u8]);
    hasher.update(bytes);
}
