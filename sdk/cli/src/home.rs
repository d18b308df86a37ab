//! What `mains` keeps for its user: identities, names of canisters, which test network is the local one.
//!
//! ```text
//! HOME/identities/NAME    Ed25519 seed in hex, readable by this user only
//! HOME/identity           name of the chosen identity
//! HOME/local              directory of the test network started last
//! HOME/names/KEY.json     names of canisters of the network whose root key ends with KEY
//! HOME/seen/KEY           newest certified block time seen of that network, nanoseconds: no query goes back behind it
//! HOME/testnet/           default directory of a test network
//! ```
//! HOME is `$MAINS_HOME`, else `$XDG_CONFIG_HOME/mains`, else `~/.config/mains`.

use anyhow::{Context as _, Result, bail};
use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// Name of the identity that signs nothing.
pub(crate) const ANONYMOUS: &str = "anonymous";
/// Name of the identity that is made when none was chosen.
const DEFAULT: &str = "default";

/// The user's directory.
#[derive(Clone, Debug)]
pub(crate) struct Home(PathBuf);

impl Home {
    /// The directory that the environment names; nothing is touched.
    pub(crate) fn find() -> Result<Self> {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let home = set("MAINS_HOME")
            .or_else(|| set("XDG_CONFIG_HOME").map(|config| config.join("mains")))
            .or_else(|| set("HOME").map(|home| home.join(".config/mains")));
        Ok(Self(
            home.context("neither MAINS_HOME nor HOME is set: set MAINS_HOME to a directory that you may write to")?,
        ))
    }

    /// Where a test network goes unless another directory is asked for.
    pub(crate) fn testnet(&self) -> PathBuf {
        self.0.join("testnet")
    }

    /// Directory of the test network started last, or the default one.
    pub(crate) fn local(&self) -> PathBuf {
        match fs::read_to_string(self.0.join("local")) {
            Ok(text) if !text.trim().is_empty() => PathBuf::from(text.trim()),
            _ => self.testnet(),
        }
    }

    /// Remembers the directory of the test network started last.
    pub(crate) fn set_local(&self, dir: &Path) -> Result<()> {
        self.write("local", &format!("{}\n", dir.display()))
    }

    /// Name of the chosen identity.
    pub(crate) fn identity(&self) -> String {
        match fs::read_to_string(self.0.join("identity")) {
            Ok(text) if !text.trim().is_empty() => text.trim().to_owned(),
            _ => DEFAULT.to_owned(),
        }
    }

    /// Chooses an identity.
    pub(crate) fn set_identity(&self, name: &str) -> Result<()> {
        if name != ANONYMOUS {
            self.seed(name)?;
        }
        self.write("identity", &format!("{name}\n"))
    }

    /// All identities, in the order of their names.
    pub(crate) fn identities(&self) -> Result<Vec<String>> {
        let dir = self.0.join("identities");
        let entries = match fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", dir.display())),
        };
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| check_name(name).is_ok())
            .collect();
        names.sort();
        Ok(names)
    }

    /// Makes an identity.
    pub(crate) fn new_identity(&self, name: &str) -> Result<[u8; 32]> {
        check_name(name)?;
        let dir = self.0.join("identities");
        fs::create_dir_all(&dir).with_context(|| unwritable(&dir))?;
        let path = dir.join(name);
        let seed = random_seed()?;
        let mut file = match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                bail!(
                    "there is an identity `{name}` already: choose another name, or use it with `mains identity use {name}`"
                )
            }
            Err(error) => return Err(error).with_context(|| unwritable(&path)),
        };
        writeln!(file, "{}", hex::encode(seed)).and_then(|()| file.sync_all()).with_context(|| unwritable(&path))?;
        Ok(seed)
    }

    /// The seed of an identity; the default one is made on its first use.
    pub(crate) fn seed(&self, name: &str) -> Result<[u8; 32]> {
        check_name(name)?;
        let path = self.0.join("identities").join(name);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound && name == DEFAULT => return self.new_identity(name),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                bail!("there is no identity `{name}`: make it with `mains identity new {name}`")
            }
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        let mut seed = [0; 32];
        hex::decode_to_slice(text.trim(), &mut seed)
            .ok()
            .with_context(|| format!("{} does not hold 32 bytes in hex: restore it from a backup", path.display()))?;
        Ok(seed)
    }

    /// Names of canisters of the network with this root key.
    pub(crate) fn names(&self, root_key: &[u8]) -> Result<BTreeMap<String, String>> {
        let path = self.0.join(names_file(root_key));
        match fs::read(&path) {
            Ok(text) => {
                serde_json::from_slice(&text).with_context(|| format!("{} is damaged: remove it", path.display()))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeMap::new()),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    /// Names a canister of the network with this root key.
    pub(crate) fn set_name(&self, root_key: &[u8], name: &str, canister: &str) -> Result<()> {
        let mut names = self.names(root_key)?;
        names.insert(name.to_owned(), canister.to_owned());
        self.write(&names_file(root_key), &serde_json::to_string_pretty(&names)?)
    }

    /// Newest certified block time that was seen of the network with this root key, nanoseconds; 0 if none was.
    pub(crate) fn seen(&self, root_key: &[u8]) -> u64 {
        let text = fs::read_to_string(self.0.join(seen_file(root_key))).unwrap_or_default();
        text.trim().parse().unwrap_or_default()
    }

    /// Remembers a newer one. Nothing depends on it but the order of what a user sees, so a failure is no error.
    pub(crate) fn set_seen(&self, root_key: &[u8], time_nanos: u64) {
        if time_nanos > self.seen(root_key) {
            let _ = self.write(&seen_file(root_key), &format!("{time_nanos}\n"));
        }
    }

    /// Writes a file whole or not at all.
    fn write(&self, file: &str, text: &str) -> Result<()> {
        let path = self.0.join(file);
        let fresh = path.with_extension("new");
        let write = || {
            fs::create_dir_all(path.parent().unwrap_or(&self.0))?;
            fs::write(&fresh, text)?;
            fs::rename(&fresh, &path)
        };
        write().with_context(|| unwritable(&path))
    }
}

fn unwritable(path: &Path) -> String {
    format!("cannot write {}: set MAINS_HOME to a directory that you may write to", path.display())
}

fn names_file(root_key: &[u8]) -> String {
    format!("names/{}.json", key_name(root_key))
}

fn seen_file(root_key: &[u8]) -> String {
    format!("seen/{}", key_name(root_key))
}

fn key_name(root_key: &[u8]) -> String {
    hex::encode(&root_key[root_key.len().saturating_sub(8)..])
}

/// Names are file names: letters, digits, `-`, `_`.
fn check_name(name: &str) -> Result<()> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if name == ANONYMOUS {
        bail!("`{ANONYMOUS}` signs nothing and has no key: choose another name");
    }
    if name.is_empty() || name.len() > 64 || !name.bytes().all(good) {
        bail!("`{name}` is no name: use letters, digits, - and _");
    }
    Ok(())
}

fn random_seed() -> Result<[u8; 32]> {
    use rand::TryRng;
    let mut seed = [0; 32];
    rand::rngs::SysRng.try_fill_bytes(&mut seed).context("the system gives no randomness")?;
    Ok(seed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn home() -> (tempfile::TempDir, Home) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let home = Home(dir.path().join("mains"));
        (dir, home)
    }

    #[test]
    fn a_new_identity_is_readable_by_its_user_only_and_never_overwritten() {
        let (_dir, home) = home();
        let seed = home.new_identity("alice").expect("made");
        assert_eq!(home.seed("alice").expect("kept"), seed);
        let mode = fs::metadata(home.0.join("identities/alice")).expect("it exists").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let error = home.new_identity("alice").expect_err("it exists").to_string();
        assert!(error.contains("mains identity use alice"), "{error}");
        assert_eq!(home.identities().expect("listed"), ["alice"]);
    }

    #[test]
    fn the_default_identity_is_made_on_first_use_and_others_are_not() {
        let (_dir, home) = home();
        assert_eq!(home.identity(), "default");
        assert_eq!(home.seed("default").expect("made"), home.seed("default").expect("kept"));
        assert!(home.seed("bob").expect_err("unknown").to_string().contains("mains identity new bob"));
        assert!(home.set_identity("bob").is_err());
        home.set_identity(ANONYMOUS).expect("always there");
        assert_eq!(home.identity(), ANONYMOUS);
    }

    #[test]
    fn names_that_are_paths_are_refused() {
        let (_dir, home) = home();
        for name in ["", "../x", "a/b", "anonymous", "a b"] {
            assert!(home.new_identity(name).is_err(), "{name}");
        }
    }

    #[test]
    fn what_was_seen_of_a_network_never_becomes_older() {
        let (_dir, home) = home();
        assert_eq!(home.seen(&[1; 133]), 0);
        home.set_seen(&[1; 133], 9);
        home.set_seen(&[1; 133], 3);
        assert_eq!(home.seen(&[1; 133]), 9);
        assert_eq!(home.seen(&[2; 133]), 0);
    }

    #[test]
    fn names_of_canisters_belong_to_one_network() {
        let (_dir, home) = home();
        home.set_name(&[1; 133], "counter", "aaaaa-aa").expect("written");
        assert_eq!(home.names(&[1; 133]).expect("read")["counter"], "aaaaa-aa");
        assert!(home.names(&[2; 133]).expect("read").is_empty());
    }
}
