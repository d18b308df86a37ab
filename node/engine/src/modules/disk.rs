//! Machine code kept between starts of the node.
//!
//! A file here is run as it is, so it is as sensitive as the node's binary: the directory is readable and writable by the node's
//! user only, and nothing but this node's own compiler ever writes there.
#![allow(unsafe_code)]

use mains_types::Digest32;
use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    io,
    path::{Path, PathBuf},
    time::SystemTime,
};
use wasmtime::{Engine, Module};

const EXTENSION: &str = "cwasm";

/// The directory.
pub(super) struct Disk {
    directory: PathBuf,
    /// What the compiled code depends on besides the module: engine version and settings, the host's CPU.
    compatibility: u64,
    /// Bytes of all files; the ones unused for longest go first.
    bytes_max: u64,
}

impl Disk {
    pub(super) fn open(directory: PathBuf, engine: &Engine, bytes_max: u64) -> io::Result<Self> {
        fs::create_dir_all(&directory)?;
        #[cfg(unix)]
        fs::set_permissions(&directory, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        Ok(Self { directory, compatibility: hasher.finish(), bytes_max })
    }

    /// The compiled form of the rewritten module with this BLAKE3: from its file, or made by `compile` and written to it. Trouble with
    /// files only costs time.
    pub(super) fn get(&self, engine: &Engine, rewritten: &Digest32, compile: impl FnOnce() -> Module) -> Module {
        let path = self.path(rewritten);
        // SAFETY: only this node writes to the directory, and only what `Module::serialize` gave it; wasmtime checks that the
        // file fits its version and settings.
        let loaded = path.exists().then(|| unsafe { Module::deserialize_file(engine, &path) });
        match loaded {
            Some(Ok(module)) => {
                let _ = fs::File::open(&path).and_then(|file| file.set_modified(SystemTime::now()));
                return module;
            }
            Some(Err(error)) => {
                tracing::warn!(%error, path = %path.display(), "a compiled module cannot be used again")
            }
            None => {}
        }
        let module = compile();
        if let Err(error) = self.store(&path, &module) {
            tracing::warn!(%error, path = %path.display(), "a compiled module cannot be kept");
        }
        module
    }

    fn path(&self, rewritten: &Digest32) -> PathBuf {
        let mut key = blake3::Hasher::new();
        key.update(rewritten).update(&self.compatibility.to_le_bytes());
        self.directory.join(key.finalize().to_hex().as_str()).with_extension(EXTENSION)
    }

    /// Writes a whole file or none: a torn one would be loaded as code.
    fn store(&self, path: &Path, module: &Module) -> io::Result<()> {
        let bytes = module.serialize().map_err(|error| io::Error::other(error.to_string()))?;
        self.make_room(bytes.len() as u64)?;
        let partial = path.with_extension(format!("{}.partial", std::process::id()));
        let file = fs::File::create(&partial)?;
        io::Write::write_all(&mut &file, &bytes)?;
        file.sync_all()?;
        fs::rename(partial, path)
    }

    fn make_room(&self, bytes: u64) -> io::Result<()> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            files.push((metadata.modified()?, metadata.len(), entry.path()));
        }
        files.sort();
        let mut total = bytes + files.iter().map(|(_, bytes, _)| bytes).sum::<u64>();
        for (_, bytes, path) in files {
            if total <= self.bytes_max {
                break;
            }
            // On Unix a module that is in use keeps its pages.
            fs::remove_file(path)?;
            total -= bytes;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_bounded_and_the_one_unused_for_longest_goes() {
        let directory = tempfile::tempdir().expect("a directory for tests");
        let engine = Engine::default();
        let wasm = wat::parse_str(r#"(module (func (export "f")))"#).expect("it is well written");
        let module = Module::new(&engine, wasm).expect("it is a module");
        let bytes = module.serialize().expect("it has a form").len() as u64;
        let disk = Disk::open(directory.path().join("modules"), &engine, 3 * bytes + bytes / 2).expect("a directory");
        let (mut compiled, mut uses) = (0, 0);
        let mut get = |name: u8| {
            let compile = || {
                compiled += 1;
                module.clone()
            };
            disk.get(&engine, &[name; 32], compile);
            uses += 1;
            // Files differ in time, whatever a clock's resolution is.
            let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(uses * 10);
            fs::File::open(disk.path(&[name; 32])).and_then(|file| file.set_modified(time)).expect("the file is there");
            compiled
        };
        assert_eq!([get(1), get(2), get(3), get(1)], [1, 2, 3, 3]);
        // The fourth puts out the second: the first was used since.
        get(4);
        assert_eq!([get(1), get(3), get(4)], [4, 4, 4]);
        assert_eq!(get(2), 5);
        let kept = fs::read_dir(directory.path().join("modules")).expect("it is there").count();
        assert_eq!(kept, 3);
    }
}
