//! Key files: a secret as hex, or sealed with a passphrase. Only their owner may read them; secrets are wiped from memory.
//!
//! A sealed file has two lines: how the passphrase becomes a key (Argon2id), and the secret under ChaCha20-Poly1305. The
//! first line and the file's role are authenticated with it, so that no file can pass for another.

use crate::error::OperatorError;
use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::{
    ChaCha20Poly1305, Key, Nonce,
    aead::{Aead, KeyInit, Payload},
};
use rand::TryRng;
use std::{
    io::Write,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
};
use zeroize::{Zeroize, Zeroizing};

/// What a sealed file begins with.
const SEALED: &str = "mains-sealed-1";
/// Work that a guess of the passphrase costs: 64 MiB of memory, three passes, about 0.2 s.
const MEMORY_KIB: u32 = 64 << 10;
const PASSES: u32 = 3;
/// A file that asks for more is not ours, and opening it would exhaust the host.
const MEMORY_KIB_MAX: u32 = 1 << 20;
const PASSES_MAX: u32 = 16;
const SALT_BYTES: usize = 16;
const NONCE_BYTES: usize = 12;
/// Bits that let others than the owner use a file.
const OTHERS: u32 = 0o077;
/// The same of a passphrase's file: service managers hand one over that its group may read.
const STRANGERS: u32 = 0o007;

/// A passphrase; wiped from memory when dropped.
pub(crate) type Passphrase = Zeroizing<String>;

/// Writes a secret to a new file, readable by this user only; sealed if there is a passphrase.
///
/// # Errors
/// The file is there already or cannot be written.
pub(crate) fn write(path: &Path, secret: &[u8], passphrase: Option<&Passphrase>) -> Result<(), OperatorError> {
    let text = match passphrase {
        Some(passphrase) => seal(role(path), secret, passphrase),
        None => Zeroizing::new(format!("{}\n", &*Zeroizing::new(hex::encode(secret)))),
    };
    write_as_it_is(path, text.as_bytes())
}

/// Writes a key file that was read elsewhere, as it was there.
///
/// # Errors
/// The file is there already or cannot be written.
pub(crate) fn write_as_it_is(path: &Path, text: &[u8]) -> Result<(), OperatorError> {
    let write = || -> std::io::Result<()> {
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(text)?;
        file.sync_all()
    };
    write().map_err(|source| OperatorError::file("write", path, source))
}

/// A key file as it was read; its secret may still be sealed.
pub(crate) struct KeyFile<'p> {
    path: &'p Path,
    text: Zeroizing<String>,
}

impl<'p> KeyFile<'p> {
    /// Reads a key file.
    ///
    /// # Errors
    /// Unreadable, or others than its owner may use it.
    pub(crate) fn read(path: &'p Path) -> Result<Self, OperatorError> {
        let failed = |source| OperatorError::file("read", path, source);
        let mode = std::fs::metadata(path).map_err(failed)?.permissions().mode();
        if mode & OTHERS != 0 {
            return Err(OperatorError::KeyOpenToOthers { path: path.to_owned(), mode: mode & 0o777 });
        }
        let text = Zeroizing::new(std::fs::read_to_string(path).map_err(failed)?);
        Ok(Self { path, text })
    }

    /// Whether a passphrase is needed.
    pub(crate) fn is_sealed(&self) -> bool {
        self.text.starts_with(SEALED)
    }

    /// The secret.
    ///
    /// # Errors
    /// Not hex, damaged, or sealed with another passphrase.
    pub(crate) fn open(&self, passphrase: Option<&Passphrase>) -> Result<Zeroizing<Vec<u8>>, OperatorError> {
        let wrong = |reason: &str| OperatorError::Key { path: self.path.to_owned(), reason: reason.into() };
        if !self.is_sealed() {
            return hex::decode(self.text.trim()).map(Zeroizing::new).map_err(|_| wrong("is not hex"));
        }
        let passphrase = passphrase.ok_or_else(|| OperatorError::NoPassphrase { path: self.path.to_owned() })?;
        unseal(role(self.path), &self.text, passphrase).map_err(|error| match error {
            Unseal::Malformed => wrong("is sealed in a form that this release does not know, or damaged"),
            Unseal::Passphrase => OperatorError::WrongPassphrase { path: self.path.to_owned() },
        })
    }
}

/// Why a sealed secret stays sealed.
#[derive(Debug, PartialEq, Eq)]
enum Unseal {
    Malformed,
    Passphrase,
}

/// What a file of this name is for.
fn role(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

fn seal(role: &str, secret: &[u8], passphrase: &str) -> Zeroizing<String> {
    let mut random = [0; SALT_BYTES + NONCE_BYTES];
    rand::rngs::SysRng.try_fill_bytes(&mut random).expect("the operating system has randomness");
    let (salt, nonce) = random.split_at(SALT_BYTES);
    let header = format!("{SEALED} argon2id m={MEMORY_KIB} t={PASSES} salt={}", hex::encode(salt));
    let key = derive(passphrase, salt, MEMORY_KIB, PASSES).expect("parameters in their range");
    let sealed = cipher(&key)
        .encrypt(Nonce::from_slice(nonce), Payload { msg: secret, aad: format!("{role} {header}").as_bytes() })
        .expect("a secret is short");
    Zeroizing::new(format!("{header}\n{}{}\n", hex::encode(nonce), hex::encode(sealed)))
}

fn unseal(role: &str, text: &str, passphrase: &str) -> Result<Zeroizing<Vec<u8>>, Unseal> {
    let (header, body) = text.trim_end().split_once('\n').ok_or(Unseal::Malformed)?;
    let fields: Vec<&str> = header.split(' ').collect();
    let [SEALED, "argon2id", memory, passes, salt] = fields[..] else { return Err(Unseal::Malformed) };
    let number = |text: &str, name: &str, max: u32| {
        text.strip_prefix(name).and_then(|digits| digits.parse().ok()).filter(|number| *number <= max)
    };
    let memory = number(memory, "m=", MEMORY_KIB_MAX).ok_or(Unseal::Malformed)?;
    let passes = number(passes, "t=", PASSES_MAX).ok_or(Unseal::Malformed)?;
    let salt = salt.strip_prefix("salt=").and_then(|hex| hex::decode(hex).ok()).ok_or(Unseal::Malformed)?;
    let body = hex::decode(body).map_err(|_| Unseal::Malformed)?;
    let (nonce, sealed) = body.split_at_checked(NONCE_BYTES).ok_or(Unseal::Malformed)?;
    let key = derive(passphrase, &salt, memory, passes).ok_or(Unseal::Malformed)?;
    cipher(&key)
        .decrypt(Nonce::from_slice(nonce), Payload { msg: sealed, aad: format!("{role} {header}").as_bytes() })
        .map(Zeroizing::new)
        .map_err(|_| Unseal::Passphrase)
}

fn derive(passphrase: &str, salt: &[u8], memory_kib: u32, passes: u32) -> Option<Zeroizing<[u8; 32]>> {
    let params = Params::new(memory_kib, passes, 1, Some(32)).ok()?;
    let mut key = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.as_bytes(), salt, &mut *key)
        .ok()?;
    Some(key)
}

fn cipher(key: &[u8; 32]) -> ChaCha20Poly1305 {
    ChaCha20Poly1305::new(Key::from_slice(key))
}

/// Reads a passphrase from where the operator put it: `file`, else the environment variable `MAINS_PASSPHRASE`, else the
/// terminal. `None` if it is nowhere and nobody is there to ask.
///
/// # Errors
/// The file or the terminal cannot be read, or everybody can read the file.
pub(crate) fn passphrase(file: Option<&Path>, question: &str) -> Result<Option<Passphrase>, OperatorError> {
    use std::io::IsTerminal as _;
    if let Some(path) = file {
        let failed = |source| OperatorError::file("read", path, source);
        let mode = std::fs::metadata(path).map_err(failed)?.permissions().mode();
        if mode & STRANGERS != 0 {
            return Err(OperatorError::KeyOpenToOthers { path: path.to_owned(), mode: mode & 0o777 });
        }
        let mut text = std::fs::read_to_string(path).map_err(failed)?;
        let passphrase = Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned());
        text.zeroize();
        return Ok(Some(passphrase));
    }
    if let Ok(text) = std::env::var("MAINS_PASSPHRASE") {
        return Ok(Some(Zeroizing::new(text)));
    }
    if !std::io::stdin().is_terminal() {
        return Ok(None);
    }
    let asked = rpassword::prompt_password(question);
    asked.map(|text| Some(Zeroizing::new(text))).map_err(|error| OperatorError::Terminal(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_sealed_secret_opens_with_its_passphrase_for_its_role_only() {
        let sealed = seal("node.key", b"secret", "correct horse");
        assert!(!sealed.contains(&hex::encode(b"secret")));
        assert_eq!(unseal("node.key", &sealed, "correct horse").expect("right")[..], b"secret"[..]);
        assert_eq!(unseal("node.key", &sealed, "battery").err(), Some(Unseal::Passphrase));
        assert_eq!(unseal("chain.share", &sealed, "correct horse").err(), Some(Unseal::Passphrase));
    }

    #[test]
    fn a_damaged_file_is_told_apart_and_none_can_exhaust_the_host() {
        for text in [
            SEALED.to_owned(),
            format!("{SEALED} argon2id m=4194304 t=3 salt=00000000000000000000000000000000\n{}", "00".repeat(60)),
            format!("{SEALED} argon2id m=64 t=4000000000 salt=00000000000000000000000000000000\n{}", "00".repeat(60)),
            format!("{SEALED} argon2id m=64 t=1 salt=zz\n00"),
            format!("{SEALED} scrypt m=64 t=1 salt=00\n00"),
        ] {
            assert_eq!(unseal("node.key", &text, "").err(), Some(Unseal::Malformed), "{text}");
        }
    }

    #[test]
    fn key_files_are_private_and_refused_when_they_are_not() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("node.key");
        write(&path, &[7; 32], None).expect("written");
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        let file = KeyFile::read(&path).expect("private");
        assert!(!file.is_sealed());
        assert_eq!(file.open(None).expect("hex")[..], [7; 32]);
        assert!(write(&path, &[8; 32], None).is_err(), "a key is never overwritten");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("ours");
        let error = KeyFile::read(&path).err().expect("refused").to_string();
        assert!(error.contains("chmod 600"), "{error}");
    }

    #[test]
    fn a_sealed_key_without_a_passphrase_says_where_to_put_it() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("node.key");
        write(&path, &[7; 32], Some(&Zeroizing::new("p".into()))).expect("written");
        let file = KeyFile::read(&path).expect("private");
        let error = file.open(None).expect_err("no passphrase").to_string();
        assert!(error.contains("passphrase_file"), "{error}");
        let error = file.open(Some(&Zeroizing::new("q".into()))).expect_err("another one").to_string();
        assert!(error.contains("another passphrase"), "{error}");
        assert_eq!(file.open(Some(&Zeroizing::new("p".into()))).expect("right")[..], [7; 32]);
    }
}
