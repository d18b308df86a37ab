use super::harness::{Canister, computes, engine, wasm};
use crate::{Tracking, WasmtimeEngine};
use mains_execution::{
    engine::{Engine, Entry},
    system_api::Mode,
};
use mains_types::ids::canister_id;
use serde_bytes::ByteBuf;
use std::{
    cell::RefCell,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

#[test]
fn equal_modules_share_and_a_refused_one_is_refused_again() {
    let engine = WasmtimeEngine::with_tracking(None, Tracking::Compare).expect("comparing works everywhere");
    let module = wasm(&computes("(i64.const 1)"));
    let [one, two] = [&module, &module.clone()].map(|module| engine.module(module).expect("it is valid"));
    assert!(Arc::ptr_eq(&one, &two));
    assert_eq!(one.id, *blake3::hash(&module).as_bytes());
    assert!(one.compile_instructions > 0);
    let [one, two] = [0, 0].map(|_| engine.module(b"no module").expect_err("it is none"));
    assert_eq!(one, two);
}

/// The files of a directory of modules with this extension.
fn files(path: &Path, extension: &str) -> Vec<PathBuf> {
    let paths = fs::read_dir(path).expect("the engine made it").map(|entry| entry.expect("readable").path());
    paths.filter(|path| path.extension().is_some_and(|own| own == extension)).collect()
}

#[test]
fn compiled_modules_are_found_on_disk_and_a_spoilt_file_only_costs_time() {
    let directory = tempfile::tempdir().expect("a directory for tests");
    let path = directory.path().join("modules");
    let run = || {
        let engine = WasmtimeEngine::new(Some(path.clone())).expect("an engine starts everywhere");
        assert_eq!(Canister::new(&engine, &computes("(i64.const 7)")).update("go", &[]).number(), 7);
    };
    run();
    for extension in ["cwasm", "facts"] {
        let first = files(&path, extension);
        assert_eq!(first.len(), 1);
        run();
        assert_eq!(files(&path, extension), first);
        let whole = fs::metadata(&first[0]).expect("it is there").len();
        fs::remove_file(&first[0]).expect("it is there");
        fs::write(&first[0], b"torn").expect("the directory is ours");
        run();
        assert_eq!(files(&path, extension), first);
        assert_eq!(fs::metadata(&first[0]).expect("it is there").len(), whole);
    }
}

#[test]
fn what_a_state_holds_is_compiled_once_and_found_after_a_restart() {
    let directory = tempfile::tempdir().expect("a directory for tests");
    let path = directory.path().join("modules");
    let start = || WasmtimeEngine::new(Some(path.clone())).expect("an engine starts everywhere");
    let modules: Vec<_> =
        (0..3).map(|number| Arc::new(ByteBuf::from(wasm(&computes(&format!("(i64.const {number})")))))).collect();
    let told = |engine: &WasmtimeEngine| {
        let told = RefCell::new(Vec::new());
        engine.hold(&modules, &|done, all| told.borrow_mut().push((done, all)));
        told.into_inner()
    };
    let first = start();
    assert_eq!(told(&first), [(0, 3), (1, 3), (2, 3)]);
    assert_eq!(told(&first), []);
    let restarted = start();
    assert_eq!(told(&restarted), []);
    for wasm in &modules {
        assert!(!restarted.is_ready(blake3::hash(wasm).as_bytes()), "it is mapped when it is asked for");
        assert_eq!(restarted.inspect(wasm), first.inspect(wasm));
        assert_eq!(restarted.module(wasm), first.module(wasm));
        assert_eq!(restarted.instantiate(wasm).map(|heap| heap.bytes), first.instantiate(wasm).map(|heap| heap.bytes));
    }
    // One that is in memory still while its files are gone gets them back when a state has it again.
    files(&path, "cwasm").iter().for_each(|path| fs::remove_file(path).expect("it is there"));
    assert_eq!(told(&first).len(), 3);
    assert_eq!((files(&path, "cwasm").len(), files(&path, "facts").len()), (3, 3));
    assert_eq!(told(&start()), []);
}

/// Examples of the SDK as their compilers made them: Rust with ic-cdk, Motoko with 64-bit memory and orthogonal persistence.
#[test]
fn what_real_compilers_make_is_accepted_starts_and_answers() {
    for (name, bits64, starts) in
        [("counter-rust", false, false), ("probe-rust", false, false), ("counter-motoko", true, true)]
    {
        let path = format!("{}/../../sdk/examples/prebuilt/{name}.wasm", env!("CARGO_MANIFEST_DIR"));
        let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let mut canister = Canister::of(engine(), bytes.clone());
        let info = engine().module(&bytes).expect("it was accepted before");
        assert_eq!((info.memory64, info.has_start, info.orthogonal_persistence), (bits64, starts, bits64), "{name}");
        if info.hooks.contains("canister_init") {
            let entry = Entry::Export("canister_init".into());
            assert_eq!(canister.run(Mode::Init, entry, b"DIDL\0\0", true).result, Ok(()), "{name}");
        }
        if name.starts_with("counter") {
            // The method takes nothing and answers with the new count, a candid `nat`.
            for count in 1..4 {
                let outcome = canister.update("inc", b"DIDL\0\0");
                assert_eq!(
                    (outcome.result, &outcome.reply[..]),
                    (Ok(()), &[b"DIDL\0\x01\x7d" as &[u8], &[count]].concat()[..]),
                    "{name}"
                );
                canister.id = canister_id(300 + u64::from(count));
            }
        }
    }
}
