//! Machine code kept between starts of the node.
//!
//! A file here is run as it is, so it is as sensitive as the node's binary: the directory is readable and writable by the node's
//! user only, and nothing but this node's own compiler ever writes there. Files of one module begin with its id in their names, and
//! go on with what else their content depends on.
#![allow(unsafe_code)]

use super::facts::{self, Facts};
use mains_types::Digest32;
use std::{
    collections::HashSet,
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    io,
    path::{Path, PathBuf},
    time::SystemTime,
};
use wasmtime::{Engine, Module};

const CODE: &str = "cwasm";
const FACTS: &str = "facts";

/// The directory.
pub(super) struct Disk {
    directory: PathBuf,
    /// What the compiled code depends on besides the module: engine version and settings, the host's CPU.
    compatibility: u64,
    /// Bytes of the files of modules that nobody holds; the ones unused for longest go first.
    unheld_bytes_max: u64,
}

impl Disk {
    pub(super) fn open(directory: PathBuf, engine: &Engine, unheld_bytes_max: u64) -> io::Result<Self> {
        fs::create_dir_all(&directory)?;
        #[cfg(unix)]
        fs::set_permissions(&directory, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        Ok(Self { directory, compatibility: hasher.finish(), unheld_bytes_max })
    }

    /// Whether a module can be had from its files.
    pub(super) fn has(&self, id: &Digest32) -> bool {
        self.facts(id).is_some_and(|facts| self.code_path(id, &facts.rewritten).exists())
    }

    /// What this program has found out about a module before.
    pub(super) fn facts(&self, id: &Digest32) -> Option<Facts> {
        let facts = Facts::decode(&fs::read(self.facts_path(id)?).ok()?)?;
        (facts.info.id == *id).then_some(facts)
    }

    /// The code of the rewritten module with this BLAKE3, mapped from its file. Trouble with files only costs time.
    pub(super) fn code(&self, engine: &Engine, id: &Digest32, rewritten: &Digest32) -> Option<Module> {
        let path = self.code_path(id, rewritten);
        if !path.exists() {
            return None;
        }
        // SAFETY: only this node writes to the directory, and only what `Module::serialize` gave it; wasmtime checks that the
        // file fits its version and settings.
        match unsafe { Module::deserialize_file(engine, &path) } {
            Ok(module) => {
                let _ = fs::File::open(&path).and_then(|file| file.set_modified(SystemTime::now()));
                Some(module)
            }
            Err(error) => {
                tracing::warn!(%error, path = %path.display(), "a compiled module cannot be used again");
                let _ = fs::remove_file(path);
                None
            }
        }
    }

    /// Keeps the code of a module. Files of modules that are not held make room.
    pub(super) fn keep_code(&self, id: &Digest32, rewritten: &Digest32, module: &Module, held: &HashSet<Digest32>) {
        let path = self.code_path(id, rewritten);
        if path.exists() {
            return;
        }
        let keep = || {
            let bytes = module.serialize().map_err(|error| io::Error::other(error.to_string()))?;
            self.make_room(held)?;
            self.put(id, &path, &bytes)
        };
        if let Err(error) = keep() {
            tracing::warn!(%error, path = %path.display(), "a compiled module cannot be kept");
        }
    }

    /// Keeps what was found out about a module.
    pub(super) fn keep_facts(&self, id: &Digest32, facts: &Facts) {
        let Some(path) = self.facts_path(id) else { return };
        if let Err(error) = self.put(id, &path, &facts.encode()) {
            tracing::warn!(%error, path = %path.display(), "what was found out about a module cannot be kept");
        }
    }

    fn code_path(&self, id: &Digest32, rewritten: &Digest32) -> PathBuf {
        self.path(id, &[rewritten, &self.compatibility.to_le_bytes()], CODE)
    }

    fn facts_path(&self, id: &Digest32) -> Option<PathBuf> {
        Some(self.path(id, &[facts::program()?], FACTS))
    }

    fn path(&self, id: &Digest32, depends_on: &[&[u8]], extension: &str) -> PathBuf {
        let mut key = blake3::Hasher::new();
        depends_on.iter().for_each(|part| {
            key.update(part);
        });
        let name = blake3::Hash::from_bytes(*id).to_hex();
        self.directory.join(format!("{name}-{}.{extension}", &key.finalize().to_hex()[..16]))
    }

    /// Writes a whole file or none: a torn one would be loaded as code. Another one of its kind about this module is outdated.
    fn put(&self, id: &Digest32, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let partial = path.with_extension(format!("{}.partial", std::process::id()));
        let file = fs::File::create(&partial)?;
        io::Write::write_all(&mut &file, bytes)?;
        file.sync_all()?;
        fs::rename(partial, path)?;
        for (other, _) in self.files()? {
            if other != path && other.extension() == path.extension() && id_of(&other) == Some(*id) {
                fs::remove_file(other)?;
            }
        }
        Ok(())
    }

    fn make_room(&self, held: &HashSet<Digest32>) -> io::Result<()> {
        let mut files = Vec::new();
        for (path, metadata) in self.files()? {
            if id_of(&path).is_none_or(|id| !held.contains(&id)) {
                files.push((metadata.modified()?, metadata.len(), path));
            }
        }
        files.sort();
        let mut total = files.iter().map(|(_, bytes, _)| bytes).sum::<u64>();
        for (_, bytes, path) in files {
            if total <= self.unheld_bytes_max {
                break;
            }
            // On Unix a module that is in use keeps its pages.
            fs::remove_file(path)?;
            total -= bytes;
        }
        Ok(())
    }

    fn files(&self) -> io::Result<Vec<(PathBuf, fs::Metadata)>> {
        fs::read_dir(&self.directory)?
            .map(|entry| entry.and_then(|entry| Ok((entry.path(), entry.metadata()?))))
            .collect()
    }
}

/// Which module a file is about.
fn id_of(path: &Path) -> Option<Digest32> {
    let (id, _) = path.file_name()?.to_str()?.split_once('-')?;
    blake3::Hash::from_hex(id).ok().map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_stays_and_of_the_rest_the_one_unused_for_longest_goes() {
        let directory = tempfile::tempdir().expect("a directory for tests");
        let engine = Engine::default();
        let wasm = wat::parse_str(r#"(module (func (export "f")))"#).expect("it is well written");
        let module = Module::new(&engine, wasm).expect("it is a module");
        let bytes = module.serialize().expect("it has a form").len() as u64;
        let disk = Disk::open(directory.path().join("modules"), &engine, 2 * bytes + bytes / 2).expect("a directory");
        let held = HashSet::from([[0; 32], [10; 32]]);
        let mut uses = 0;
        let mut get = |name: u8| {
            let id = [name; 32];
            let is_kept = disk.code(&engine, &id, &id).is_some();
            if !is_kept {
                disk.keep_code(&id, &id, &module, &held);
            }
            uses += 1;
            // Files differ in time, whatever a clock's resolution is.
            let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(uses * 10);
            fs::File::open(disk.code_path(&id, &id)).and_then(|file| file.set_modified(time)).expect("it is there");
            is_kept
        };
        assert_eq!([get(0), get(10), get(1), get(2), get(3), get(1)], [false, false, false, false, false, true]);
        // Room is made before a file is written: there are three now, and the second is unused for longest.
        assert!(!get(4));
        assert_eq!([get(1), get(3), get(4)], [true; 3]);
        assert!(!get(2));
        assert_eq!([get(0), get(10)], [true; 2], "however old they are");
        let kept = disk.files().expect("it is there").len();
        assert_eq!(kept, 2 + 3);
    }

    #[test]
    fn a_module_has_one_file_of_a_kind() {
        let directory = tempfile::tempdir().expect("a directory for tests");
        let disk = Disk::open(directory.path().to_owned(), &Engine::default(), 0).expect("a directory");
        for key in [1, 2] {
            for id in [[3; 32], [4; 32]] {
                disk.put(&id, &disk.path(&id, &[&[key]], CODE), b"code").expect("it can be written");
                disk.put(&id, &disk.path(&id, &[&[key]], FACTS), b"facts").expect("it can be written");
            }
        }
        let names: HashSet<_> = disk.files().expect("it is there").into_iter().map(|(path, _)| path).collect();
        let expected = [[3; 32], [4; 32]].map(|id| [CODE, FACTS].map(|kind| disk.path(&id, &[&[2]], kind)));
        assert_eq!(names, expected.into_iter().flatten().collect());
    }
}
