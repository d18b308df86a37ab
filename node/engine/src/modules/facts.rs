//! What was found out about a module, kept beside its machine code so that loading it again is no work.

use mains_execution::engine::ModuleInfo;
use mains_types::Digest32;
use serde::{Deserialize, Serialize};
use std::{
    fs,
    io::{self, Read as _},
    ops::Range,
    sync::{Arc, OnceLock},
};

/// Where a program's table of what is loaded ends, and more.
const HEADER_BYTES: u64 = 4_096;

/// All but the code.
#[derive(Serialize, Deserialize)]
pub(super) struct Facts {
    /// What execution learns about it.
    pub(super) info: Arc<ModuleInfo>,
    /// BLAKE3 of the rewritten module.
    pub(super) rewritten: Digest32,
    /// Indices of its mutable globals.
    pub(super) globals: Vec<u32>,
    /// Its active data segments: where they go in memory, and where in the module they are.
    pub(super) data: Vec<(u64, Range<usize>)>,
}

impl Facts {
    /// Their form, with its BLAKE3 before it.
    pub(super) fn encode(&self) -> Vec<u8> {
        let body = postcard::to_stdvec(self).expect("facts have a form");
        [&blake3::hash(&body).as_bytes()[..], &body].concat()
    }

    /// `None` if these bytes are not the whole form.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (hash, body) = bytes.split_first_chunk::<32>()?;
        (blake3::hash(body).as_bytes() == hash).then(|| postcard::from_bytes(body).ok())?
    }
}

/// Names the rules by which facts were found: the program that runs. Another one may weigh modules differently, and what it finds
/// is replicated, so it must not read these. `None` if the program cannot be read.
pub(super) fn program() -> Option<&'static Digest32> {
    static PROGRAM: OnceLock<Option<Digest32>> = OnceLock::new();
    let read = || -> io::Result<Digest32> {
        // On Linux the file that runs, whatever stands under its name by now.
        let path = if cfg!(target_os = "linux") { "/proc/self/exe".into() } else { std::env::current_exe()? };
        let mut header = Vec::new();
        fs::File::open(&path)?.take(HEADER_BYTES).read_to_end(&mut header)?;
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(fs::File::open(&path)?.take(loaded_bytes(&header).unwrap_or(u64::MAX)))?;
        Ok(*hasher.finalize().as_bytes())
    };
    let tell = |error| tracing::warn!(%error, "what was found out about modules is not kept");
    PROGRAM.get_or_init(|| read().map_err(tell).ok()).as_ref()
}

/// Bytes up to the end of what is loaded of a program, if it is one for 64-bit Linux: what debuggers read comes after it, and is most of it.
fn loaded_bytes(header: &[u8]) -> Option<u64> {
    let word = |at: usize| Some(u64::from_le_bytes(header.get(at..at + 8)?.try_into().ok()?));
    let half = |at: usize| Some(usize::from(u16::from_le_bytes(header.get(at..at + 2)?.try_into().ok()?)));
    if !header.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let (table, entry_bytes, count) = (usize::try_from(word(32)?).ok()?, half(54)?, half(56)?);
    let mut end = None;
    for at in (0..count).map(|index| table.saturating_add(index * entry_bytes)) {
        // Type 1 is what is loaded.
        if header.get(at..at.checked_add(4)?)? == [1, 0, 0, 0] {
            end = end.max(word(at + 8)?.checked_add(word(at + 32)?));
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(all(target_os = "linux", target_endian = "little", target_pointer_width = "64"))]
    fn a_program_has_one_name_and_its_symbols_are_not_read() {
        let bytes = fs::read("/proc/self/exe").expect("it runs");
        let loaded = loaded_bytes(&bytes[..HEADER_BYTES as usize]).expect("it is a program") as usize;
        assert!(loaded > 1 << 20 && loaded < bytes.len(), "{loaded} of {}", bytes.len());
        assert_eq!(program(), Some(blake3::hash(&bytes[..loaded]).as_bytes()));
        assert_eq!((loaded_bytes(b"no program"), loaded_bytes(&bytes[..60])), (None, None));
    }
}
