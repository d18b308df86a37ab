//! Float locals that a loop changes, kept aside around the call in its head.
//!
//! A loop's head may call a helper, and a call leaves no float register as it was. A value that is alive across it would live on
//! the host's stack, and every turn of the loop would wait for it there. So what the loop changes is put into globals of ours
//! before that call, which is rare, and taken back after it: then nothing is alive across it. Bits stay as they are.

use wasmparser::ValType;

/// Types that are kept aside.
pub(super) const TYPES: [ValType; 3] = [ValType::F32, ValType::F64, ValType::V128];
/// Locals of each type that are kept aside in one loop; what more there are live on the stack.
pub(super) const LOCALS_MAX: usize = 4;
/// Changes in one loop that are looked at, so that nested loops cost no more than their number.
const CHANGES_MAX: usize = 64;

/// Which locals a loop keeps aside in which of the globals, given the locals that it changes, in order.
pub(super) fn places(changed: &[u32], locals: &[ValType]) -> Vec<(u32, u32)> {
    let mut places: Vec<(u32, u32)> = Vec::new();
    let mut used = [0; TYPES.len()];
    for local in changed.iter().take(CHANGES_MAX) {
        let ty = locals.get(*local as usize).and_then(|ty| TYPES.iter().position(|kept| kept == ty));
        let Some(ty) = ty.filter(|ty| used[*ty] < LOCALS_MAX) else { continue };
        if places.iter().all(|(kept, _)| kept != local) {
            places.push((*local, (ty * LOCALS_MAX + used[ty]) as u32));
            used[ty] += 1;
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_changed_float_has_a_place_of_its_type_until_there_are_no_more() {
        use ValType::{F32, F64, I32, V128};
        let locals = [F64, I32, F64, F32, F64, F64, F64, V128];
        assert_eq!(places(&[], &locals), []);
        assert_eq!(places(&[1, 2, 2, 3, 2, 7], &locals), [(2, 4), (3, 0), (7, 8)]);
        assert_eq!(places(&[6, 5, 4, 2, 0, 3], &locals), [(6, 4), (5, 5), (4, 6), (2, 7), (3, 0)]);
        let many = [vec![0; CHANGES_MAX], vec![3]].concat();
        assert_eq!(places(&many, &locals), [(0, 4)]);
    }
}
