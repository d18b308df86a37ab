//! Where NaN bits that arithmetic leaves open are about to be seen.
//!
//! WebAssembly leaves the sign and payload of a NaN made by float arithmetic open, and hosts differ. Canonical
//! bits after every such operator would be sound and cost up to seven times the run time; so it happens only if something
//! may look at the bits. Each value on the abstract stack is a [`Value`]; arithmetic and comparisons only ask for a
//! value, everything else *looks*: then the operator that made the value gets a canonicalisation behind it. A float local is
//! *lazy* if nothing but arithmetic results (and constants) ever flow into it: its bits stay open, and a reader that lets somebody look
//! canonicalises its own copy. Any other local is *exact*: bits that a program loaded or reinterpreted must survive in it,
//! so arithmetic results are made canonical on the way in. Laziness is settled by one search over the flows between locals;
//! all of it is linear in the size of the function.

/// A value on the abstract stack, as far as NaN bits matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// No float, or one whose bits are fixed and must be kept.
    Exact,
    /// A constant that is no NaN.
    Constant,
    /// May be a NaN with open bits, made by the operator at this index.
    Open(usize),
    /// A copy of this local, made by the operator at this index: open if the local is lazy.
    Local(u32, usize),
}

impl Value {
    /// Of a float constant.
    pub(super) fn constant(is_nan: bool) -> Self {
        if is_nan { Self::Exact } else { Self::Constant }
    }
}

/// The operators, ascending, whose results must be made canonical: `looked` are the values that something looks at, `flows` those
/// that go into float locals, of which there are `count`, parameters first.
pub(super) fn open_ends(looked: &[Value], flows: &[(Value, u32)], count: usize, parameters: usize) -> Vec<usize> {
    let exact = exact_locals(count, parameters, flows);
    let open = |value: &Value| match value {
        Value::Open(at) => Some(*at),
        Value::Local(local, at) if !exact[*local as usize] => Some(*at),
        _ => None,
    };
    let into_exact = flows.iter().filter(|(_, local)| exact[*local as usize]).map(|(value, _)| value);
    let mut ends: Vec<usize> = looked.iter().chain(into_exact).filter_map(open).collect();
    ends.sort_unstable();
    ends.dedup();
    ends
}

/// Which locals hold exact bits: parameters, what exact values flow into, and what such locals flow into.
fn exact_locals(count: usize, parameters: usize, flows: &[(Value, u32)]) -> Vec<bool> {
    let mut exact = vec![false; count];
    let mut pending: Vec<u32> = (0..parameters as u32).collect();
    let mut edges: Vec<(u32, u32)> = Vec::new();
    for (value, target) in flows {
        match value {
            Value::Exact => pending.push(*target),
            Value::Local(source, _) => edges.push((*source, *target)),
            Value::Constant | Value::Open(_) => {}
        }
    }
    edges.sort_unstable();
    edges.dedup();
    while let Some(local) = pending.pop() {
        if !std::mem::replace(&mut exact[local as usize], true) {
            let first = edges.partition_point(|(source, _)| *source < local);
            pending.extend(edges[first..].iter().take_while(|(source, _)| *source == local).map(|(_, target)| *target));
        }
    }
    exact
}
