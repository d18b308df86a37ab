//! A stranger's first hour, through the binary: a test network of four processes, a canister, calls, proofs, a lost
//! replica, and what mistakes are answered with.

#[path = "testnet/person.rs"]
mod person;

use person::{Mains, counter};
use serde_json::Value;
use std::fs;

#[test]
fn a_canister_is_deployed_called_proven_and_survives_a_lost_replica() {
    let mains = Mains::new();
    mains.up();
    let deployed = mains.json(&["deploy", &counter("rust"), "--name", "counter"]);
    assert_eq!(deployed["mode"], "installed");

    let proof = mains.path("proof.json");
    let called = mains.json(&["call", "counter", "inc", "--save-proof", &proof]);
    assert_eq!(called["reply"], "(1 : nat)");
    assert_eq!(called["certified"]["threshold"], 3);
    assert_eq!(called["certified"]["members"], 4);
    assert!(called["cost_cycles"].as_str().is_some_and(|cost| cost.parse::<u128>().is_ok_and(|cost| cost > 0)));
    let text = mains.succeed(&["call", "counter", "add", "(4)"]);
    assert!(text.starts_with("(5 : nat)\n") && text.contains("certified (3-of-4 threshold) at height"), "{text}");
    assert_eq!(mains.succeed(&["query", "counter", "get", "-o", "candid"]).trim(), "(5 : nat)");

    a_proof_holds_offline_and_an_altered_one_does_not(&mains, &proof, &called);
    a_trap_is_certified_charged_and_changes_nothing(&mains);
    the_bill_adds_up(&mains);

    mains.succeed(&["testnet", "kill", "0"]);
    assert_eq!(mains.json(&["call", "counter", "inc"])["reply"], "(6 : nat)");
    mains.succeed(&["testnet", "restart", "0"]);
    let replicas = mains.json(&["testnet", "status"]);
    assert!(
        replicas.as_array().is_some_and(|all| all.len() == 4 && all.iter().all(|one| one["report"]["healthy"] == true))
    );

    let upgraded = mains.json(&["deploy", &counter("rust"), "--name", "counter"]);
    assert_eq!(upgraded["mode"], "upgraded");
    assert_eq!(upgraded["canister"], deployed["canister"]);

    mains.succeed(&["testnet", "stop"]);
    assert!(mains.fail(&["query", "counter", "get"]).contains("mains testnet up --dir"));
    mains.succeed(&["testnet", "up", "--detach"]);
    assert!(mains.fail(&["testnet", "up", "--detach"]).contains("is running already"));
    let value = mains.json(&["call", "counter", "inc"])["reply"].clone();
    assert_eq!(value, "(7 : nat)", "the state outlives all processes");
}

#[test]
fn the_demo_holds_and_leaves_nothing_behind() {
    let mains = Mains::new();
    let temporary = mains.path("temporary");
    fs::create_dir(&temporary).expect("writable");
    let shown = mains.demo(&temporary);
    assert!(shown.contains("All 12 steps held"), "{shown}");
    assert!(shown.contains("= closing balance"), "{shown}");
    assert_eq!(fs::read_dir(&temporary).expect("readable").count(), 0);
}

fn a_proof_holds_offline_and_an_altered_one_does_not(mains: &Mains, proof: &str, called: &Value) {
    let root_key = called["certified"]["root_key"].as_str().expect("hex");
    let verified = mains.succeed(&["verify", proof, "--root-key", root_key]);
    assert!(verified.contains("(1 : nat)") && verified.contains(" inc"), "{verified}");
    let other = format!("{}00", &root_key[..root_key.len() - 2]);
    assert!(mains.fail(&["verify", proof, "--root-key", &other]).contains("another root key"));

    let mut file: Value = serde_json::from_str(&fs::read_to_string(proof).expect("it was saved")).expect("JSON");
    let certificate = file["certificate"].as_str().expect("hex");
    // The reply, a natural number 1, made a 2.
    let reply = hex::encode(b"DIDL\x00\x01\x7d\x01");
    assert!(certificate.contains(&reply));
    file["certificate"] = certificate.replace(&reply, &hex::encode(b"DIDL\x00\x01\x7d\x02")).into();
    let altered = mains.path("altered.json");
    fs::write(&altered, file.to_string()).expect("writable");
    assert!(mains.fail(&["verify", &altered]).contains("the certificate was altered"));
}

fn a_trap_is_certified_charged_and_changes_nothing(mains: &Mains) {
    let output = mains.run(&["call", "counter", "trap_after_write", "-o", "json"]);
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON even for a rejection");
    assert!(report["rejected"].is_string() && report["height"].is_u64());
    assert!(report["cost_cycles"].as_str().is_some_and(|cost| cost != "0"));
    assert_eq!(mains.succeed(&["query", "counter", "get", "-o", "candid"]).trim(), "(5 : nat)");
}

fn the_bill_adds_up(mains: &Mains) {
    let bill = mains.json(&["bill", "counter"]);
    let cycles = |field: &str| bill[field].as_str().expect("decimal").parse::<i128>().expect("a number");
    assert_eq!(cycles("opening") + cycles("received") - cycles("sent") - cycles("charged"), cycles("closing"));
    assert!(cycles("charged") > 0);
}

#[test]
fn a_module_by_another_compiler_runs_and_keeps_its_heap_over_an_upgrade() {
    let mains = Mains::new();
    mains.up();
    mains.succeed(&["deploy", &counter("motoko"), "--name", "motoko"]);
    assert_eq!(mains.json(&["call", "motoko", "inc"])["reply"], "(1 : nat)");
    mains.succeed(&["deploy", &counter("motoko"), "--name", "motoko"]);
    assert_eq!(mains.succeed(&["query", "motoko", "get", "-o", "candid"]).trim(), "(1 : nat)");
    let status = mains.json(&["canister", "status", "motoko"]);
    assert_eq!(status["status"], "running");
}

#[test]
fn a_network_that_asks_for_signatures_runs_signed_modules_and_names_their_publisher() {
    let mains = Mains::new();
    mains.succeed(&["identity", "new", "publisher"]);
    mains.succeed(&["identity", "new", "other"]);
    let principal = |name: &str| {
        let listed = mains.json(&["identity", "list"]);
        let found = listed.as_array().expect("a list").iter().find(|one| one["name"] == name).expect("it was made");
        found["principal"].as_str().expect("text").to_owned()
    };
    let (module, rewritten) = (mains.path("counter.wasm"), mains.path("rewritten.wasm"));
    fs::copy(counter("rust"), &module).expect("writable");
    assert!(mains.fail(&["module", "verify", &module]).contains("is not signed"));

    let publisher = principal("publisher");
    let unsigned = fs::read(&module).expect("readable");
    let signed = mains.json(&["module", "sign", &module, "--identity", "publisher"]);
    assert_eq!(signed["publisher"], publisher.as_str());
    assert_eq!(mains.json(&["module", "verify", &module, "--publisher", &publisher]), signed);
    assert!(mains.fail(&["module", "verify", &module, "--publisher", &principal("other")]).contains(&publisher));
    let mut bytes = fs::read(&module).expect("readable");
    assert!(bytes.len() > unsigned.len() && bytes.ends_with(&unsigned[8..]), "the rest stays as it was");
    *bytes.last_mut().expect("not empty") ^= 1;
    fs::write(&rewritten, &bytes).expect("writable");
    assert!(mains.fail(&["module", "verify", &rewritten]).contains("does not fit it"));
    assert!(mains.fail(&["module", "sign", &module, "--identity", "anonymous"]).contains("mains identity new"));

    mains.up_with(&["--nodes", "1", "--require-publisher-signature", "--publisher", &publisher]);
    let refused = mains.fail(&["deploy", &counter("rust"), "--name", "counter", "-q"]);
    assert!(refused.contains("require_publisher_signature") && refused.contains("it is not signed"), "{refused}");
    let others = mains.path("others.wasm");
    mains.succeed(&["module", "sign", &module, "--identity", "other", "--to", &others]);
    assert!(mains.fail(&["deploy", &others, "--name", "counter", "-q"]).contains(&principal("other")));
    mains.succeed(&["deploy", &module, "--name", "counter"]);
    assert_eq!(mains.json(&["call", "counter", "inc"])["reply"], "(1 : nat)");
    let status = mains.json(&["canister", "status", "counter"]);
    assert_eq!((&status["publisher"], &status["module_hash"]), (&signed["publisher"], &signed["module_hash"]));
    mains.succeed(&["testnet", "stop"]);
    assert!(mains.fail(&["testnet", "up", "--require-publisher-signature"]).contains(&publisher));
}

#[test]
fn requests_that_make_no_sense_are_answered_and_the_replica_lives_on() {
    let mains = Mains::new();
    mains.up();
    let mut nested = vec![0x81; 100_000];
    nested.push(0);
    let call = "/api/v4/canister/rwlgt-iiaaa-aaaaa-aaaaa-cai/call";
    let cases: [(&str, Vec<u8>, u16, &str); 7] = [
        (call, b"garbage".to_vec(), 400, "MAINS-1001"),
        (call, Vec::new(), 400, "MAINS-1001"),
        (call, nested, 400, "MAINS-1001"),
        // A text of 2^63 bytes, announced in nine.
        (call, vec![0x7b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], 400, "MAINS-1001"),
        (call, vec![0; 6 << 20], 413, "MAINS-1008"),
        ("/api/v4/canister/nobody/call", b"garbage".to_vec(), 400, "MAINS-1003"),
        ("/api/v9/canister/aaaaa-aa/call", Vec::new(), 404, "MAINS-1302"),
    ];
    for (path, body, status, code) in cases {
        let (answered, headers, body) = mains.post(path, body);
        assert_eq!((answered, body["code"].as_str()), (status, Some(code)), "{path}");
        assert!(headers.contains("access-control-allow-origin: *"), "failures carry CORS headers too: {headers}");
    }
    assert!(mains.fail(&["query", "aaaaa-bb", "get"]).contains("mains deploy"));
    assert!(mains.fail(&["call", "rrkah-fqaaa-aaaaa-aaaaq-cai", "get"]).contains("rejected"));
    let replicas = mains.json(&["testnet", "status"]);
    assert!(replicas.as_array().is_some_and(|all| all.iter().all(|one| one["report"]["healthy"] == true)));
}

#[test]
fn mistakes_are_answered_in_one_line_that_says_what_to_do() {
    let mains = Mains::new();
    let one_line = |error: &str, advice: &str| {
        assert!(error.contains(advice), "{error}");
        assert_eq!(error.trim().lines().count(), 1, "{error}");
    };
    one_line(&mains.fail(&["call", "counter", "inc"]), "mains testnet up --detach");
    one_line(
        &mains.fail(&["call", "counter", "inc", "--identity", "nobody", "--network", "http://127.0.0.1:1"]),
        "mains identity new nobody",
    );
    one_line(&mains.fail(&["query", "counter", "get", "--network", "mainnet"]), "a node's URL");
    one_line(&mains.fail(&["verify", "/nowhere"]), "cannot read /nowhere");

    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("bound").port().to_string();
    one_line(&mains.fail(&["testnet", "up", "--detach", "--dir", &mains.path("a"), "--port", &port]), "--port");
    let file = mains.path("file");
    fs::write(&file, b"").expect("writable");
    one_line(&mains.fail(&["demo", "--exit", "--dir", &format!("{file}/below")]), "--dir");
    let full = mains.path("full");
    fs::create_dir(&full).expect("writable");
    fs::write(format!("{full}/something"), b"").expect("writable");
    one_line(&mains.fail(&["demo", "--exit", "--dir", &full]), "is not empty");

    assert_eq!(mains.run(&["testnet", "upp"]).status.code(), Some(2), "wrong usage");
}
