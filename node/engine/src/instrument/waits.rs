//! Which loads others wait for: those whose value may become an address.
//!
//! A processor overlaps loads whose addresses it knows. A load whose address was loaded itself can only begin when that one is over, and in a
//! memory larger than the caches that takes hundreds of times as long as anything else. Such a chain needs one of these for every step:
//! - a load whose value flows into the address of a load, or where it is not followed: into an argument of a call, a global, a
//!   parameter of a loop;
//! - a call whose result does. (What a function gives back is its caller's to wait for, what it is given has been waited for.)
//!
//! Each is counted, and costs what [`super::cost::far`] says. What flows into nothing of that kind (numbers that are added up, compared,
//! stored) is not. A value that is stored and loaded again is counted at the second load. Flows between locals ignore the order
//! of operators; all of it is linear in the size of the function.

/// Where a value comes from: an index into the nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Origin(u32);

impl Origin {
    /// From nothing that anybody waits for.
    pub(super) const NOTHING: Self = Self(0);
}

#[derive(Clone, Copy, Debug)]
enum Node {
    Nothing,
    /// From the load or the call at this index.
    Made(usize),
    /// From whatever was put into this local.
    Local(u32),
    /// From both.
    Both(Origin, Origin),
}

/// The flows of one function.
#[derive(Debug)]
pub(super) struct Flows {
    nodes: Vec<Node>,
    /// What became an address, or left our sight.
    ends: Vec<Origin>,
    /// What was put into which local.
    assigned: Vec<(u32, Origin)>,
}

impl Flows {
    pub(super) fn new() -> Self {
        Self { nodes: vec![Node::Nothing], ends: Vec::new(), assigned: Vec::new() }
    }

    /// A value that the load or call at this index makes.
    pub(super) fn made(&mut self, at: usize) -> Origin {
        self.node(Node::Made(at))
    }

    /// A value read from a local.
    pub(super) fn local(&mut self, local: u32) -> Origin {
        self.node(Node::Local(local))
    }

    /// A value computed from both.
    pub(super) fn both(&mut self, one: Origin, other: Origin) -> Origin {
        match (one, other) {
            (Origin::NOTHING, only) | (only, Origin::NOTHING) => only,
            _ if one == other => one,
            _ => self.node(Node::Both(one, other)),
        }
    }

    /// A value becomes an address, or goes where it is not followed.
    pub(super) fn end(&mut self, origin: Origin) {
        if origin != Origin::NOTHING {
            self.ends.push(origin);
        }
    }

    /// A value is put into a local.
    pub(super) fn assign(&mut self, local: u32, origin: Origin) {
        if origin != Origin::NOTHING {
            self.assigned.push((local, origin));
        }
    }

    /// The operators, ascending, whose values somebody waits for; the function has so many locals.
    pub(super) fn waits(mut self, locals: usize) -> Vec<usize> {
        self.assigned.sort_unstable_by_key(|(local, _)| *local);
        let mut seen = vec![false; self.nodes.len()];
        let mut followed = vec![false; locals];
        let mut waits = Vec::new();
        while let Some(Origin(index)) = self.ends.pop() {
            if std::mem::replace(&mut seen[index as usize], true) {
                continue;
            }
            match self.nodes[index as usize] {
                Node::Nothing => {}
                Node::Made(at) => waits.push(at),
                Node::Both(one, other) => self.ends.extend([one, other]),
                Node::Local(local) => {
                    if !std::mem::replace(&mut followed[local as usize], true) {
                        let first = self.assigned.partition_point(|(assigned, _)| *assigned < local);
                        let same = self.assigned[first..].iter().take_while(|(assigned, _)| *assigned == local);
                        self.ends.extend(same.map(|(_, origin)| *origin));
                    }
                }
            }
        }
        waits.sort_unstable();
        waits
    }

    fn node(&mut self, node: Node) -> Origin {
        self.nodes.push(node);
        Origin(self.nodes.len() as u32 - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loads_are_waited_for_whose_values_reach_an_address_through_locals_and_arithmetic() {
        let mut flows = Flows::new();
        let (first, second, third) = (flows.made(10), flows.made(20), flows.made(30));
        flows.assign(0, first);
        let read = flows.local(0);
        let sum = flows.both(read, second);
        flows.assign(1, sum);
        flows.assign(2, third);
        let address = flows.local(1);
        flows.end(address);
        assert_eq!(flows.waits(3), [10, 20]);
    }

    #[test]
    fn locals_that_feed_each_other_are_followed_once() {
        let mut flows = Flows::new();
        let (zero, one, made) = (flows.local(0), flows.local(1), flows.made(7));
        let both = flows.both(one, made);
        flows.assign(0, both);
        flows.assign(1, zero);
        flows.end(zero);
        flows.end(zero);
        assert_eq!(flows.waits(2), [7]);
    }

    #[test]
    fn what_reaches_no_address_is_not_waited_for() {
        let mut flows = Flows::new();
        let made = flows.made(3);
        flows.assign(0, made);
        let sum = flows.both(Origin::NOTHING, made);
        assert_eq!(sum, made);
        flows.end(Origin::NOTHING);
        assert_eq!(flows.waits(1), [0; 0]);
    }
}
