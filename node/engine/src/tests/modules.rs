use super::harness::{Canister, computes, engine, wasm};
use crate::{Tracking, WasmtimeEngine};
use mains_execution::{
    engine::{Engine, Entry},
    system_api::Mode,
};
use mains_types::ids::canister_id;
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
