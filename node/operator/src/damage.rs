//! Chain files that turn out to be damaged. The engine finds that out when it reads them, and a replica without its chain must
//! not go on: it ends, leaves a note, and its next start sets the chain aside and gets it from the others.
//! Spec: `specs/operation.md`, "Damaged files".

use crate::error::OperatorError;
use mains_store::DataDir;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Beside `chain/`: what the engine found.
const NOTE: &str = "chain.damaged";
/// Where the engine's own words come from.
const ENGINE: [&str; 3] = ["commonware-consensus", "commonware-storage", "node/consensus/src/engine.rs"];
/// What it says about bytes that are not those that it wrote, or that the disk does not give back.
const WORDS: [&str; 6] =
    ["checksum", "corrupt", "readfailed", "read failed", "insufficientlength", "insufficient length"];

/// Whether a panic at this place in the source says that a file of the chain is damaged.
pub(crate) fn is_found(place: &str, words: &str) -> bool {
    let words = words.to_lowercase();
    ENGINE.iter().any(|part| place.contains(part)) && WORDS.iter().any(|word| words.contains(word))
}

/// Where the note is, in a node's `data/`.
pub(crate) fn note(data: &Path) -> PathBuf {
    data.join(NOTE)
}

/// Sets the chain aside if the last run found it damaged. What was voted is unknown from then on.
///
/// # Errors
/// The files cannot be moved. [`OperatorError::OnlyCopy`]: nobody else has the chain.
pub(crate) fn set_aside(data: &DataDir, members: usize) -> Result<(), OperatorError> {
    let note = note(&data.data());
    let Ok(words) = fs::read_to_string(&note) else { return Ok(()) };
    if members == 1 {
        return Err(OperatorError::OnlyCopy { path: data.chain(), note });
    }
    let aside = data.set_chain_aside()?;
    tracing::warn!(found = words.trim(), kept = %aside.display(), "set a damaged chain aside: gets it from the others");
    fs::remove_file(&note).map_err(|source| OperatorError::file("remove", &note, source))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_engine_s_word_about_its_own_files_counts() {
        let engine = "/registry/commonware-consensus-2026.10.0/src/marshal/core/actor.rs";
        assert!(is_found(engine, "failed to get block: Journal(Runtime(InvalidChecksum))"));
        assert!(is_found("node/consensus/src/engine.rs", "readable blocks: Journal(Corruption(\"x\"))"));
        assert!(!is_found(engine, "gapped block missing that should exist: 7"));
        assert!(!is_found("node/replica/src/executor.rs", "the ledger is corrupt"));
    }

    #[test]
    fn a_damaged_chain_goes_aside_with_what_was_voted_and_only_then_the_note() {
        let root = tempfile::tempdir().expect("a temporary directory");
        let data = DataDir::open(root.path(), &[1; 32], &[2; 32]).expect("opens");
        assert!(data.holds_all_votes().expect("readable"));
        fs::create_dir(data.chain()).expect("made");
        fs::write(data.chain().join("file"), "rotten").expect("written");
        set_aside(&data, 4).expect("nothing to do");
        assert!(data.chain().exists() && data.holds_all_votes().expect("readable"));
        fs::write(note(&data.data()), "failed to get block").expect("written");
        assert!(matches!(set_aside(&data, 1), Err(OperatorError::OnlyCopy { .. })));
        assert!(data.chain().exists());
        set_aside(&data, 4).expect("set aside");
        assert!(!data.chain().exists() && !note(&data.data()).exists());
        assert!(data.data().join("chain.corrupt/file").exists() && !data.holds_all_votes().expect("readable"));
    }
}
