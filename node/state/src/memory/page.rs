//! A page as it is held: whole, or as what differs from a page that is held anyway.
//!
//! Most canisters with one module differ in a few words of a few pages, and most pages that they begin to use hold a few
//! words among zeroes. The form never shows: a page is its content.

use super::{PAGE_BYTES, Page, ZEROES};
use std::sync::{Arc, LazyLock};

/// Bytes of a difference above which a page is held whole.
const PATCHES_MAX: usize = 1_024;
/// Pages are compared, and differ, by words.
const WORD: usize = 8;
/// Bytes that are skipped at once where nothing differs.
const BLOCK: usize = 64;
/// Offset and length before a patch's bytes, 16 bits each.
const HEAD: usize = 4;

/// The page that an absent one reads as.
static EMPTY: LazyLock<Arc<Page>> = LazyLock::new(|| Arc::new(ZEROES));

/// A page.
#[derive(Clone)]
pub(super) enum Held {
    Whole(Arc<Page>),
    /// Runs of words (offset, length, bytes) that lie over `base`.
    Patched {
        base: Arc<Page>,
        patches: Arc<[u8]>,
    },
}

impl Held {
    /// `page` in the place of `old`: as a difference to the whole page behind that or to no page, if one is small.
    pub(super) fn new(page: &Page, old: Option<&Self>) -> Self {
        let patched = old.and_then(|old| Self::patched(page, old.base()));
        patched.or_else(|| Self::patched(page, Self::empty())).unwrap_or_else(|| Self::Whole(Arc::new(*page)))
    }

    /// The base of pages that are hardly used.
    pub(super) fn empty() -> &'static Arc<Page> {
        &EMPTY
    }

    /// `page` as a difference to `base`, if that is small.
    pub(super) fn patched(page: &Page, base: &Arc<Page>) -> Option<Self> {
        let patches = difference(page, base)?.into();
        Some(Self::Patched { base: base.clone(), patches })
    }

    /// The whole page that it is, or that it differs from.
    pub(super) fn base(&self) -> &Arc<Page> {
        match self {
            Self::Whole(page) | Self::Patched { base: page, .. } => page,
        }
    }

    /// The content as one value.
    pub(super) fn whole(&self) -> Arc<Page> {
        match self {
            Self::Whole(page) => page.clone(),
            Self::Patched { .. } => Arc::new(self.with(|page| *page)),
        }
    }

    /// Hands the content to `look`.
    pub(super) fn with<T>(&self, look: impl FnOnce(&Page) -> T) -> T {
        match self {
            Self::Whole(page) => look(page),
            Self::Patched { base, patches } => {
                let mut page = **base;
                for (offset, bytes) in runs(patches) {
                    page[offset..offset + bytes.len()].copy_from_slice(bytes);
                }
                look(&page)
            }
        }
    }

    /// Copies the bytes from `from` on; they lie within the page.
    pub(super) fn read(&self, from: usize, target: &mut [u8]) {
        let to = from + target.len();
        target.copy_from_slice(&self.base()[from..to]);
        let Self::Patched { patches, .. } = self else { return };
        for (offset, bytes) in runs(patches) {
            let (begin, end) = (offset.max(from), (offset + bytes.len()).min(to));
            if begin < end {
                target[begin - from..end - from].copy_from_slice(&bytes[begin - offset..end - offset]);
            }
        }
    }

    /// Whether it is this content.
    pub(super) fn equals(&self, page: &Page) -> bool {
        self.with(|own| own == page)
    }

    /// Whether both are the same value in memory.
    pub(super) fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Whole(a), Self::Whole(b)) => Arc::ptr_eq(a, b),
            (Self::Patched { base: a, patches: x }, Self::Patched { base: b, patches: y }) => {
                Arc::ptr_eq(a, b) && Arc::ptr_eq(x, y)
            }
            _ => false,
        }
    }
}

/// What must be laid over `base` to make it `page`; `None` if that is much.
pub(super) fn difference(page: &Page, base: &Page) -> Option<Vec<u8>> {
    let differs = |at: usize| page[at..at + WORD] != base[at..at + WORD];
    let mut patches = Vec::new();
    let mut at = 0;
    while at < PAGE_BYTES {
        if at % BLOCK == 0 && page[at..at + BLOCK] == base[at..at + BLOCK] {
            at += BLOCK;
            continue;
        }
        if !differs(at) {
            at += WORD;
            continue;
        }
        let from = at;
        while at < PAGE_BYTES && differs(at) {
            at += WORD;
        }
        if patches.len() + HEAD + (at - from) > PATCHES_MAX {
            return None;
        }
        patches.extend_from_slice(&(from as u16).to_le_bytes());
        patches.extend_from_slice(&((at - from) as u16).to_le_bytes());
        patches.extend_from_slice(&page[from..at]);
    }
    Some(patches)
}

/// The first run, and what follows.
fn run(patches: &[u8]) -> Option<(usize, &[u8], &[u8])> {
    let (head, rest) = patches.split_at_checked(HEAD)?;
    let number = |at: usize| usize::from(u16::from_le_bytes([head[at], head[at + 1]]));
    let (bytes, rest) = rest.split_at_checked(number(2))?;
    Some((number(0), bytes, rest))
}

fn runs(patches: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut rest = patches;
    std::iter::from_fn(move || {
        let (offset, bytes, tail) = run(rest)?;
        rest = tail;
        Some((offset, bytes))
    })
}
