//! `testnet.json`: what a test network is and which processes serve it.
//!
//! ```text
//! DIR/testnet.json     this file
//! DIR/node-0/          one directory per replica, made by the operator room: node.toml, genesis.cbor, keys/, data/
//! DIR/node-0/log       what its process printed
//! ```

use crate::LocalError;
use mains_operator::RequiredSignature;
use serde::{Deserialize, Serialize};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

const FILE: &str = "testnet.json";

/// A test network, as kept between commands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestnetFile {
    /// Its name.
    pub network: String,
    /// API port of the first replica; the others follow.
    pub api_port: u16,
    /// Its replicas.
    pub replicas: Vec<ReplicaFile>,
    /// Whose modules it installs.
    #[serde(default)]
    pub require_publisher_signature: RequiredSignature,
}

/// One replica, as kept between commands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplicaFile {
    /// The node's id.
    pub node_id: String,
    /// URL of its API.
    pub api: String,
    /// Its directory.
    pub dir: PathBuf,
    /// Its process, if one was started and not stopped; it may have died since.
    pub pid: Option<u32>,
}

impl ReplicaFile {
    /// Its log.
    pub fn log(&self) -> PathBuf {
        self.dir.join("log")
    }
}

impl TestnetFile {
    /// Reads the state file in `dir`; `None` if there is none.
    pub(crate) fn read(dir: &Path) -> Result<Option<Self>, LocalError> {
        let path = dir.join(FILE);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(None);
            }
            Err(error) => return Err(LocalError::file("read", path)(error)),
        };
        serde_json::from_slice(&text).map(Some).map_err(|error| LocalError::Damaged { path, reason: error.to_string() })
    }

    /// Writes the state file in `dir`, whole or not at all.
    pub(crate) fn write(&self, dir: &Path) -> Result<(), LocalError> {
        let path = dir.join(FILE);
        let fresh = path.with_extension("json.new");
        let text = serde_json::to_vec_pretty(self).expect("plain data serializes");
        fs::write(&fresh, text).and_then(|()| fs::rename(&fresh, &path)).map_err(LocalError::file("write", path))
    }
}

/// Makes `dir`, or sees that it is empty.
///
/// # Errors
/// [`LocalError::Leftover`], [`LocalError::NotEmpty`], or it cannot be made or written to.
pub(crate) fn make_empty(dir: &Path) -> Result<(), LocalError> {
    if TestnetFile::read(dir)?.is_some() {
        return Err(LocalError::Leftover { path: dir.to_owned() });
    }
    fs::create_dir_all(dir).map_err(LocalError::file("create", dir))?;
    if fs::read_dir(dir).map_err(LocalError::file("read", dir))?.next().is_some() {
        return Err(LocalError::NotEmpty { path: dir.to_owned() });
    }
    let probe = dir.join(".writable");
    fs::write(&probe, b"").and_then(|()| fs::remove_file(&probe)).map_err(LocalError::file("write to", dir))
}

/// The last line of a file that says something, at most 300 characters.
pub(crate) fn last_line(path: &Path) -> String {
    let text = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it printed nothing");
    line.trim().chars().take(300).collect()
}

/// What of `required` a test network has, for people.
pub(crate) fn described(required: &RequiredSignature) -> String {
    match required {
        RequiredSignature::Nobody => "no rule about who signs modules".into(),
        RequiredSignature::Anybody => "the rule that modules are signed, by any publisher".into(),
        RequiredSignature::OneOf(publishers) => {
            let names: Vec<String> = publishers.iter().map(ToString::to_string).collect();
            format!("the rule that modules are signed by one of {}", names.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> TestnetFile {
        let replica = ReplicaFile {
            node_id: "2vxsx-fae".into(),
            api: "http://127.0.0.1:4950".into(),
            dir: "node-0".into(),
            pid: Some(7),
        };
        TestnetFile {
            network: "testnet".into(),
            api_port: 4950,
            replicas: vec![replica],
            require_publisher_signature: RequiredSignature::Anybody,
        }
    }

    #[test]
    fn the_state_file_survives_the_round_trip() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        assert_eq!(TestnetFile::read(dir.path()).expect("readable"), None);
        example().write(dir.path()).expect("writable");
        assert_eq!(TestnetFile::read(dir.path()).expect("readable"), Some(example()));
    }

    #[test]
    fn leftovers_are_told_apart_from_other_peoples_files() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        make_empty(dir.path()).expect("an empty directory is fine");
        make_empty(&dir.path().join("a/b")).expect("a missing one is made");
        assert!(matches!(make_empty(dir.path()), Err(LocalError::NotEmpty { .. })));
        example().write(dir.path()).expect("writable");
        let error = make_empty(dir.path()).expect_err("a test network is there");
        assert!(error.to_string().contains("mains testnet up --dir"), "{error}");
    }

    #[test]
    fn a_place_that_cannot_be_written_to_gets_one_line_with_advice() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let file = dir.path().join("file");
        fs::write(&file, b"").expect("writable");
        let error = make_empty(&file.join("below")).expect_err("a file is no directory").to_string();
        assert!(error.contains("--dir") && !error.contains('\n'), "{error}");
    }

    #[test]
    fn a_damaged_state_file_is_named() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        fs::write(dir.path().join(FILE), b"{").expect("writable");
        let error = TestnetFile::read(dir.path()).expect_err("damaged").to_string();
        assert!(error.contains("testnet.json is damaged"), "{error}");
    }
}
