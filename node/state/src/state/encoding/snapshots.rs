//! Snapshots in the canonical form: each by the pages in which it differs from the next newer one that was taken, the newest
//! from the canister itself; uploads by all their pages. So a checkpoint holds a page that they share once, and so does memory
//! after it was loaded.

use super::Modules;
use crate::{
    Canister, Code, PAGE_BYTES, PageTree, Snapshot,
    snapshot::{Content, Upload},
};
use imbl::OrdMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_bytes::{ByteBuf, Bytes};
use std::sync::Arc;

/// A snapshot without its memories, and what its memories differ in.
#[derive(Serialize, Deserialize)]
pub(super) struct Packed {
    number: u64,
    snapshot: Snapshot,
    heap: Difference,
    stable: Difference,
}

/// Pages to be put (or, where there is none, removed) to turn one memory into another. Ascending, none without effect.
struct Difference(Vec<(u64, Option<Arc<[u8; PAGE_BYTES]>>)>);

/// Takes a canister's snapshots out of it. Call it while its code still has its memories and module.
pub(super) fn pack(canister: &mut Canister, modules: &mut Modules) -> Vec<Packed> {
    let (mut heap, mut stable) = memories(canister.code.as_ref());
    let snapshots = std::mem::take(&mut canister.snapshots);
    let mut packed = Vec::with_capacity(snapshots.len());
    for (number, snapshot) in snapshots.into_iter().rev() {
        let mut snapshot = Arc::unwrap_or_clone(snapshot);
        let (heap_pages, stable_pages) = match &mut snapshot.content {
            Content::Taken(code) => {
                code.wasm = super::name_module(modules, &code.wasm);
                let own = (std::mem::take(&mut code.heap.pages), std::mem::take(&mut code.stable));
                let differences = (Difference::between(&own.0, &heap), Difference::between(&own.1, &stable));
                (heap, stable) = own;
                differences
            }
            Content::Uploaded(Upload { heap, stable, .. }) => {
                let (own_heap, own_stable, nothing) =
                    (std::mem::take(heap), std::mem::take(stable), PageTree::default());
                (Difference::between(&own_heap, &nothing), Difference::between(&own_stable, &nothing))
            }
        };
        packed.push(Packed { number, snapshot, heap: heap_pages, stable: stable_pages });
    }
    packed
}

/// The inverse of [`pack`]; `code` has its memories.
///
/// # Errors
/// A rule of the form that does not hold.
pub(super) fn unpack(
    code: Option<&Code>,
    packed: Vec<Packed>,
    modules: &Modules,
) -> Result<OrdMap<u64, Arc<Snapshot>>, &'static str> {
    let (mut heap, mut stable) = memories(code);
    let mut snapshots = OrdMap::new();
    let mut above = u64::MAX;
    for Packed { number, mut snapshot, heap: heap_pages, stable: stable_pages } in packed {
        if number >= above {
            return Err("its snapshots are not in order");
        }
        above = number;
        match &mut snapshot.content {
            Content::Taken(code) => {
                code.wasm = super::named_module(modules, &code.wasm).ok_or("the module of a snapshot is missing")?;
                heap_pages.apply(&mut heap)?;
                stable_pages.apply(&mut stable)?;
                (code.heap.pages, code.stable) = (heap.clone(), stable.clone());
                if code.digest != code.module_digest() {
                    return Err("digest of a snapshot's module");
                }
            }
            Content::Uploaded(upload) => {
                heap_pages.apply(&mut upload.heap)?;
                stable_pages.apply(&mut upload.stable)?;
            }
        }
        if snapshot.bytes() != snapshot.counted() {
            return Err("bytes of a snapshot");
        }
        if !super::are_hashed(&snapshot.chunks) {
            return Err("hash of a snapshot's chunk");
        }
        snapshots.insert(number, Arc::new(snapshot));
    }
    Ok(snapshots)
}

fn memories(code: Option<&Code>) -> (PageTree, PageTree) {
    code.map(|code| (code.heap.pages.clone(), code.stable.clone())).unwrap_or_default()
}

impl Difference {
    fn between(new: &PageTree, old: &PageTree) -> Self {
        let mut pages = Vec::new();
        new.diff(old, &mut |index, page| pages.push((index, page.cloned())));
        Self(pages)
    }

    fn apply(self, memory: &mut PageTree) -> Result<(), &'static str> {
        if !self.0.is_sorted_by(|(index, _), (next, _)| index < next) {
            return Err("pages of a snapshot are not in order");
        }
        for (index, page) in self.0 {
            if page.as_ref().is_some_and(|page| **page == [0; PAGE_BYTES]) || memory.get(index) == page.as_ref() {
                return Err("a page of a snapshot differs in nothing");
            }
            match page {
                Some(page) => memory.set_shared(index, page),
                None => memory.set(index, &[0; PAGE_BYTES]),
            }
        }
        Ok(())
    }
}

impl Serialize for Difference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer
            .collect_seq(self.0.iter().map(|(index, page)| (index, page.as_ref().map(|page| Bytes::new(&page[..])))))
    }
}

impl<'de> Deserialize<'de> for Difference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let page = |bytes: ByteBuf| {
            let page = <[u8; PAGE_BYTES]>::try_from(&bytes[..]);
            page.map(Arc::new).map_err(|_| serde::de::Error::custom("a page has 4096 bytes"))
        };
        let list = Vec::<(u64, Option<ByteBuf>)>::deserialize(deserializer)?;
        let pages = list.into_iter().map(|(index, bytes)| Ok((index, bytes.map(page).transpose()?)));
        pages.collect::<Result<_, D::Error>>().map(Self)
    }
}
