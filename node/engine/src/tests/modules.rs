use super::harness::{Canister, computes, wasm};
use crate::{Tracking, WasmtimeEngine};
use mains_execution::engine::Engine;
use std::{fs, sync::Arc};

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

#[test]
fn compiled_modules_are_found_on_disk_and_a_spoilt_file_only_costs_time() {
    let directory = tempfile::tempdir().expect("a directory for tests");
    let path = directory.path().join("modules");
    let files = || {
        fs::read_dir(&path)
            .expect("the engine made it")
            .map(|entry| entry.expect("readable").path())
            .collect::<Vec<_>>()
    };
    let run = || {
        let engine = WasmtimeEngine::new(Some(path.clone())).expect("an engine starts everywhere");
        assert_eq!(Canister::new(&engine, &computes("(i64.const 7)")).update("go", &[]).number(), 7);
    };
    run();
    let first = files();
    assert_eq!(first.len(), 1);
    run();
    assert_eq!(files(), first);
    fs::remove_file(&first[0]).expect("it is there");
    fs::write(&first[0], b"torn").expect("the directory is ours");
    run();
    assert_eq!(files(), first);
    assert!(fs::metadata(&first[0]).expect("it is there").len() > 1_000);
}
