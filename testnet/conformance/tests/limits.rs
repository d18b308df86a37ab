//! `specs/limits.md` and `protocol/types/src/limits.rs` say the same.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// `pub const NAME: TYPE = VALUE;` by name.
fn in_code(source: &str) -> BTreeMap<String, String> {
    let constants = source.lines().filter_map(|line| line.strip_prefix("pub const "));
    constants
        .map(|line| {
            let (name, rest) = line.split_once(':').expect("a type");
            let value = rest.split_once(" = ").and_then(|(_, value)| value.strip_suffix(';'));
            (name.into(), value.expect("a constant on one line").into())
        })
        .collect()
}

/// Rows `| NAME | VALUE ... | ... |` with name and value between backticks.
fn in_specification(page: &str) -> BTreeMap<String, String> {
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let mut quoted = row.split('`').skip(1).step_by(2);
        let mut next = || quoted.next().expect("name and value between backticks").to_owned();
        (next(), next())
    })
    .collect()
}

#[test]
fn the_specification_lists_every_limit_with_the_value_the_code_has() {
    let code = in_code(&read("protocol/types/src/limits.rs"));
    assert!(code.len() > 40, "{code:?}");
    let specification = in_specification(&read("specs/limits.md"));
    let names: BTreeSet<_> = code.keys().chain(specification.keys()).collect();
    let differ: Vec<_> = names
        .into_iter()
        .filter(|name| code.get(*name) != specification.get(*name))
        .map(|name| format!("{name}: code {:?}, page {:?}", code.get(name), specification.get(name)))
        .collect();
    assert!(differ.is_empty(), "bring specs/limits.md up to date:\n{}", differ.join("\n"));
}
