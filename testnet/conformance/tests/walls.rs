//! The walls between rooms: who may import whom (`specs/architecture.md`), which library belongs to which room, and that
//! every room behind the deterministic wall is watched by the same `clippy.toml`.

use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::Command,
};

/// Rooms behind the deterministic wall.
const DETERMINISTIC: [&str; 7] =
    ["mains-types", "mains-wire", "mains-crypto", "mains-tree", "mains-ledger", "mains-state", "mains-execution"];

/// What a room may import beyond `protocol/*`, which everybody above it may. Rooms of `protocol` list all they may.
const EDGES: [(&str, &[&str]); 21] = [
    ("mains-types", &[]),
    ("mains-wire", &["mains-types"]),
    ("mains-crypto", &["mains-types", "mains-wire"]),
    ("mains-tree", &["mains-types"]),
    ("mains-ledger", &[]),
    ("mains-state", &["mains-ledger"]),
    ("mains-execution", &["mains-ledger", "mains-state"]),
    ("mains-engine", &["mains-state", "mains-execution"]),
    ("mains-store", &["mains-ledger", "mains-state"]),
    ("mains-consensus", &[]),
    ("mains-network", &[]),
    ("mains-replica", &["mains-ledger", "mains-state", "mains-execution", "mains-consensus"]),
    ("mains-gateway", &["mains-ledger", "mains-state", "mains-replica"]),
    (
        "mains-operator",
        &[
            "mains-ledger",
            "mains-state",
            "mains-execution",
            "mains-engine",
            "mains-store",
            "mains-consensus",
            "mains-network",
            "mains-replica",
            "mains-gateway",
        ],
    ),
    ("mains-client", &["mains-ledger"]),
    ("mains", &["mains-ledger", "mains-client", "mains-operator", "mains-local"]),
    ("mains-local", &["mains-client", "mains-operator"]),
    (
        "mains-sim",
        &["mains-ledger", "mains-state", "mains-execution", "mains-engine", "mains-consensus", "mains-replica"],
    ),
    // `tests/core.rs` runs canisters under `execute` alone.
    (
        "mains-conformance",
        &[
            "mains-ledger",
            "mains-state",
            "mains-execution",
            "mains-engine",
            "mains-client",
            "mains-local",
            "mains-operator",
        ],
    ),
    // Measures one replica's parts beside whole networks.
    (
        "mains-bench",
        &[
            "mains-ledger",
            "mains-state",
            "mains-execution",
            "mains-engine",
            "mains-store",
            "mains-client",
            "mains-local",
            "mains-operator",
        ],
    ),
    ("mains-fuzz", &["mains-ledger", "mains-state", "mains-execution", "mains-engine"]),
];

/// Libraries that belong to somebody: nobody else names them. A trailing `*` matches any rest.
const OWNED: [(&str, &[&str]); 9] = [
    ("serde_cbor", &["mains-wire"]),
    ("wasmtime", &["mains-engine"]),
    ("rusqlite", &["mains-store"]),
    ("libp2p-stream", &["mains-network"]),
    // The operator parses listen addresses out of its configuration file.
    ("libp2p", &["mains-network", "mains-operator"]),
    // The benchmark's floor is a bare HTTP echo.
    ("axum", &["mains-gateway", "mains-bench"]),
    ("tower-http", &["mains-gateway"]),
    (
        "commonware-*",
        &["mains-consensus", "mains-network", "mains-replica", "mains-operator", "mains-sim", "mains-gateway"],
    ),
    ("ic-agent", &["mains-client", "mains", "mains-conformance", "mains-bench"]),
];

/// Libraries that bring clocks, threads, sockets, files or entropy: never behind the deterministic wall, except to test it.
const EFFECTS: [&str; 11] = [
    "tokio",
    "rand",
    "rand_core",
    "getrandom",
    "commonware-*",
    "libp2p",
    "axum",
    "reqwest",
    "rusqlite",
    "wasmtime",
    "rustix",
];

/// One dependency as a manifest names it.
struct Dependency {
    name: String,
    /// Only tests see it.
    for_tests: bool,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Every package of the workspace with its dependencies, as cargo reads the manifests.
fn workspace() -> BTreeMap<String, Vec<Dependency>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("metadata is JSON");
    let text = |value: &Value| value.as_str().expect("a string").to_owned();
    let packages = metadata["packages"].as_array().expect("packages");
    packages
        .iter()
        .map(|package| {
            let dependencies = package["dependencies"].as_array().expect("dependencies");
            let dependencies = dependencies
                .iter()
                .map(|one| Dependency {
                    name: text(&one["rename"].as_str().map_or(one["name"].clone(), Value::from)),
                    for_tests: one["kind"].as_str() == Some("dev"),
                })
                .collect();
            (text(&package["name"]), dependencies)
        })
        .collect()
}

fn matches(pattern: &str, name: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == name, |start| name.starts_with(start))
}

fn is_protocol(package: &str) -> bool {
    DETERMINISTIC[..4].contains(&package)
}

/// Every edge that the picture does not show.
fn forbidden_edges(workspace: &BTreeMap<String, Vec<Dependency>>) -> Vec<String> {
    let picture: BTreeMap<_, _> = EDGES.into_iter().collect();
    let ours = |name: &str| workspace.contains_key(name);
    let mut found = Vec::new();
    for (package, dependencies) in workspace {
        let Some(allowed) = picture.get(package.as_str()) else {
            found.push(format!("{package} is not in the picture"));
            continue;
        };
        for dependency in dependencies.iter().filter(|one| ours(&one.name)) {
            let protocol_is_below = is_protocol(&dependency.name) && !is_protocol(package);
            if !protocol_is_below && !allowed.contains(&dependency.name.as_str()) {
                found.push(format!("{package} -> {}", dependency.name));
            }
        }
    }
    found
}

/// Every library named outside the room that owns it, or behind the wall although it has effects.
fn misplaced_libraries(workspace: &BTreeMap<String, Vec<Dependency>>) -> Vec<String> {
    let mut found = Vec::new();
    for (package, dependencies) in workspace {
        for Dependency { name, for_tests } in dependencies {
            let owner = OWNED.iter().find(|(library, _)| matches(library, name));
            if owner.is_some_and(|(_, rooms)| !rooms.contains(&package.as_str())) {
                found.push(format!("{package} names {name}"));
            }
            let effect = EFFECTS.iter().any(|library| matches(library, name));
            if effect && !for_tests && DETERMINISTIC.contains(&package.as_str()) {
                found.push(format!("{package}, behind the deterministic wall, uses {name}"));
            }
        }
    }
    found
}

#[test]
fn no_room_imports_another_outside_the_picture() {
    assert_eq!(forbidden_edges(&workspace()), Vec::<String>::new(), "see specs/architecture.md, Who may import whom");
}

#[test]
fn every_room_of_the_picture_exists() {
    let workspace = workspace();
    let drawn: BTreeSet<_> = EDGES.iter().map(|(room, _)| (*room).to_owned()).collect();
    assert_eq!(drawn, workspace.into_keys().collect());
}

#[test]
fn a_library_is_named_only_in_the_room_it_belongs_to() {
    assert_eq!(misplaced_libraries(&workspace()), Vec::<String>::new());
}

#[test]
fn an_edge_out_of_the_picture_is_found() {
    let mut workspace = workspace();
    let edge = |name: &str| Dependency { name: name.into(), for_tests: false };
    workspace.get_mut("mains-ledger").expect("ledger").extend([edge("mains-execution"), edge("tokio")]);
    workspace.get_mut("mains-sim").expect("sim").extend([edge("mains-gateway"), edge("wasmtime")]);
    assert_eq!(forbidden_edges(&workspace), ["mains-ledger -> mains-execution", "mains-sim -> mains-gateway"]);
    assert_eq!(
        misplaced_libraries(&workspace),
        ["mains-ledger, behind the deterministic wall, uses tokio", "mains-sim names wasmtime"]
    );
}

#[test]
fn the_deterministic_wall_is_the_same_everywhere_and_repeats_the_common_bans() {
    let bans = |folder: &str| {
        let path = root().join(folder).join("clippy.toml");
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    let wall = bans("ledger");
    for folder in ["protocol", "node/state", "node/execution"] {
        assert_eq!(bans(folder), wall, "{folder}/clippy.toml differs from ledger/clippy.toml");
    }
    for line in bans("").lines().filter(|line| line.contains("path =")) {
        assert!(wall.contains(line), "ledger/clippy.toml lacks a common ban: {line}");
    }
}
