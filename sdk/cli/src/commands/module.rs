//! `mains module …`: who published a module. Reads and writes files, asks nobody.

use crate::{
    args::ModuleCommand,
    context::{self, Context},
    home::ANONYMOUS,
    terminal::{self, Colour},
};
use anyhow::{Context as _, Result, anyhow, bail};
use flate2::read::GzDecoder;
use mains_crypto::{ModuleSignatureError, PublisherKey, module_publisher, publisher_id, sign_module};
use mains_types::limits;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::{
    borrow::Cow,
    fs,
    io::{Read as _, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

/// How a gzip file begins.
const GZIP: [u8; 2] = [0x1f, 0x8b];

#[derive(Serialize)]
struct Published {
    file: PathBuf,
    /// The principal of the publisher's key.
    publisher: String,
    /// The key, Ed25519.
    publisher_key: String,
    /// SHA-256 of the file: what a canister with this module shows.
    module_hash: String,
}

pub(crate) fn run(context: &Context, command: ModuleCommand) -> Result<()> {
    match command {
        ModuleCommand::Sign { file, to } => {
            let to = to.unwrap_or_else(|| file.clone());
            sign(context, &file, &to)?;
            context.note(format_args!("signed {}", to.display()));
            show(context, &to, None)
        }
        ModuleCommand::Verify { file, publisher } => show(context, &file, publisher.as_deref()),
    }
}

fn sign(context: &Context, file: &Path, to: &Path) -> Result<()> {
    let name = context.shared.identity.clone().unwrap_or_else(|| context.home.identity());
    if name == ANONYMOUS {
        bail!(
            "`anonymous` signs nothing: choose an identity with --identity NAME, or make one with `mains identity new NAME`"
        )
    }
    let module = read(file)?;
    if module.starts_with(&GZIP) {
        bail!("{} is compressed: sign the module first, compress it afterwards", file.display())
    }
    let signed = sign_module(&module, &context.home.seed(&name)?).map_err(|error| explained(file, error))?;
    replace(to, &signed)
}

/// Writes a file whole or not at all: the module may be replaced by itself.
fn replace(path: &Path, content: &[u8]) -> Result<()> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let permissions = match fs::metadata(path) {
        Ok(metadata) => metadata.permissions(),
        Err(_) => fs::Permissions::from_mode(0o644),
    };
    let written = tempfile::Builder::new().permissions(permissions).tempfile_in(dir).and_then(|mut file| {
        file.write_all(content)?;
        file.persist(path).map_err(|error| error.error)
    });
    written.map(drop).with_context(|| format!("cannot write {}", path.display()))
}

fn show(context: &Context, file: &Path, expected: Option<&str>) -> Result<()> {
    let expected = expected.map(context::publisher).transpose()?;
    let uploaded = read(file)?;
    let Some(key) = module_publisher(&unpacked(file, &uploaded)?).map_err(|error| explained(file, error))? else {
        bail!("{} is not signed: sign it with `mains module sign`", file.display())
    };
    let publisher = publisher_id(&key);
    if expected.is_some_and(|expected| expected != publisher) {
        bail!("{} is signed by {publisher}, not by that publisher", file.display())
    }
    let published = Published {
        file: file.to_owned(),
        publisher: publisher.to_text(),
        publisher_key: hex::encode(key),
        module_hash: hex::encode(Sha256::digest(&uploaded)),
    };
    if context.is_json() {
        terminal::json(&published);
        return Ok(());
    }
    let row = |name: &str, value: String| vec![terminal::coloured(Colour::Grey, name), value];
    let mut rows = vec![row("publisher", published.publisher), row("module", published.module_hash)];
    rows.extend(own_name(context, &key).map(|name| row("identity", name)));
    terminal::table(&rows);
    Ok(())
}

/// Name of the user's own identity with this key.
fn own_name(context: &Context, key: &PublisherKey) -> Option<String> {
    let names = context.home.identities().ok()?;
    let has_key = |name: &String| {
        context.home.seed(name).is_ok_and(|seed| mains_crypto::NodeKey::from_seed(seed).public() == *key)
    };
    names.into_iter().find(has_key)
}

fn read(file: &Path) -> Result<Vec<u8>> {
    fs::read(file).with_context(|| format!("cannot read {}", file.display()))
}

/// The module as the subnet unpacks it.
pub(super) fn unpacked<'a>(file: &Path, uploaded: &'a [u8]) -> Result<Cow<'a, [u8]>> {
    if !uploaded.starts_with(&GZIP) {
        return Ok(Cow::Borrowed(uploaded));
    }
    let mut module = Vec::new();
    GzDecoder::new(uploaded)
        .take(limits::MODULE_BYTES_MAX as u64 + 1)
        .read_to_end(&mut module)
        .with_context(|| format!("{} begins like a gzip file and is not one", file.display()))?;
    if module.len() > limits::MODULE_BYTES_MAX {
        bail!("{} holds more than {} bytes: no canister can have it", file.display(), limits::MODULE_BYTES_MAX)
    }
    Ok(Cow::Owned(module))
}

fn explained(file: &Path, error: ModuleSignatureError) -> anyhow::Error {
    match error {
        ModuleSignatureError::NoModule => anyhow!("{} {error}", file.display()),
        _ => anyhow!("{} {error}: who published it is not known", file.display()),
    }
}
