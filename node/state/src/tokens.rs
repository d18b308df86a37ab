//! What the built-in token ledgers keep beside balances: allowances, transactions seen, tokens that are not cycles.
//!
//! Tables of bytes in a hash tree: cheap to clone, and the root of a height covers them without visiting them all. What
//! keys and values mean is the business of the built-in canisters (`mains_execution::system_canisters`).

use mains_tree::{Node, Tree};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Table {
    /// Who may spend how much of whose cycles.
    Allowances,
    /// Transactions of the last day, by time and hash, so that none is done twice.
    Transactions,
    /// Balances of the test network's ICP ledger.
    Icp,
    /// The latest blocks of the test network's ICP ledger, and the number of the next one.
    IcpBlocks,
    /// Who may spend how much of whose ICP.
    IcpAllowances,
    /// Transfers of ICP that were turned into cycles, with the answers, by block.
    Notified,
    /// The latest blocks of the cycles ledger, by index.
    CyclesBlocks,
    /// Where the cycles ledger's blocks begin and end, and the last one's hash.
    CyclesTip,
    /// What is certified of each member's cycles ([`mains_ledger::wallet::MemberRecord`]), by its label.
    Members,
    /// A member's row as it was before a block that is kept, by its label and the block's index.
    MembersBefore,
    /// What built-in canisters certify, by their ids.
    CertifiedData,
}

impl Table {
    const fn label(self) -> &'static [u8] {
        match self {
            Self::Allowances => b"allowances",
            Self::Transactions => b"transactions",
            Self::Icp => b"icp",
            Self::IcpBlocks => b"icp_blocks",
            Self::IcpAllowances => b"icp_allowances",
            Self::Notified => b"notified",
            Self::CyclesBlocks => b"cycles_blocks",
            Self::CyclesTip => b"cycles_tip",
            Self::Members => b"members",
            Self::MembersBefore => b"members_before",
            Self::CertifiedData => b"certified_data",
        }
    }
}

/// All tables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    tree: Tree,
}

impl Tokens {
    /// The value at `key`.
    pub fn get(&self, table: Table, key: &[u8]) -> Option<&[u8]> {
        self.tree.leaf(&[table.label(), key])
    }

    /// Puts a value.
    pub fn put(&mut self, table: Table, key: &[u8], value: Vec<u8>) {
        self.tree.insert(&[table.label(), key], value);
    }

    /// Removes a value.
    pub fn remove(&mut self, table: Table, key: &[u8]) {
        self.tree.remove(&[table.label(), key]);
    }

    /// The least key of a table.
    pub fn first_key(&self, table: Table) -> Option<Vec<u8>> {
        let rows = self.tree.get(&[table.label()]).and_then(Node::tree)?;
        rows.iter().next().map(|(key, _)| key.to_vec())
    }

    pub(crate) fn tree(&self) -> &Tree {
        &self.tree
    }
}

impl Serialize for Tokens {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let tables = self.tree.iter().filter_map(|(table, rows)| Some((table, rows.tree()?)));
        let rows: Vec<(&[u8], &[u8], &[u8])> = tables
            .flat_map(|(table, rows)| rows.iter().filter_map(move |(key, value)| Some((table, key, value.leaf()?))))
            .collect();
        rows.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Tokens {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let rows = Vec::<(Vec<u8>, Vec<u8>, Vec<u8>)>::deserialize(deserializer)?;
        if !rows.is_sorted_by(|(table, key, _), (next_table, next_key, _)| (table, key) < (next_table, next_key)) {
            return Err(de::Error::custom("rows of token tables are not in order"));
        }
        let mut tree = Tree::new();
        for (table, key, value) in rows {
            tree.insert(&[table, key], value);
        }
        Ok(Self { tree })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_survive_the_round_trip_and_are_in_order() {
        let mut tokens = Tokens::default();
        tokens.put(Table::Icp, b"b", vec![1]);
        tokens.put(Table::Icp, b"a", vec![2, 3]);
        tokens.put(Table::Allowances, b"z", vec![]);
        let bytes = postcard::to_stdvec(&tokens).unwrap();
        let decoded: Tokens = postcard::from_bytes(&bytes).unwrap();
        assert_eq!(decoded, tokens);
        assert_eq!(decoded.first_key(Table::Icp), Some(b"a".to_vec()));
        assert_eq!(decoded.get(Table::Allowances, b"z"), Some(&[][..]));
    }

    #[test]
    fn an_emptied_table_is_as_if_it_had_never_been() {
        let mut tokens = Tokens::default();
        tokens.put(Table::Icp, b"a", vec![1]);
        tokens.remove(Table::Icp, b"a");
        assert_eq!(tokens.get(Table::Icp, b"a"), None);
        assert_eq!(tokens.first_key(Table::Icp), None);
        let decoded: Tokens = postcard::from_bytes(&postcard::to_stdvec(&tokens).unwrap()).unwrap();
        assert_eq!(decoded.tree().digest(), tokens.tree().digest());
    }
}
