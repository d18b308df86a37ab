//! Files that are either there whole or not at all, also after a power cut.

use crate::error::StoreError;
use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
};

/// How unfinished files end; nobody reads them, whoever finds one removes it.
pub(crate) const UNFINISHED: &str = ".unfinished";

/// Writes `parts` one after another to `path`: to a file beside it, synced, renamed, and the directory synced.
///
/// # Errors
/// The operating system's; `path` is then as it was.
pub(crate) fn write_atomically(path: &Path, parts: &[&[u8]]) -> Result<(), StoreError> {
    let mut name = path.as_os_str().to_owned();
    name.push(UNFINISHED);
    let unfinished = PathBuf::from(name);
    let write = || {
        let mut file = File::create(&unfinished)?;
        parts.iter().try_for_each(|part| file.write_all(part))?;
        file.sync_all()
    };
    let written = write().map_err(StoreError::file("write", &unfinished));
    let renamed = written.and_then(|()| fs::rename(&unfinished, path).map_err(StoreError::file("write", path)));
    if renamed.is_err() {
        // On a full disk this gives the space back; if it fails too, the next start removes it.
        let _ = fs::remove_file(&unfinished);
        return renamed;
    }
    sync_directory(path.parent().unwrap_or(Path::new(".")))
}

/// Makes names in `directory` durable.
pub(crate) fn sync_directory(directory: &Path) -> Result<(), StoreError> {
    let sync = || File::open(directory)?.sync_all();
    sync().map_err(StoreError::file("sync", directory))
}

/// The names in `directory`; one that is not UTF-8 is none of ours.
pub(crate) fn names(directory: &Path) -> Result<Vec<String>, StoreError> {
    let list = || -> std::io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(directory)? {
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    };
    list().map_err(StoreError::file("read", directory))
}
