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
    the_bill_adds_up_and_proves_itself(&mains, called["certified"]["root_key"].as_str().expect("hex"));
    the_journal_is_what_was_certified_and_can_be_rebuilt(&mains);

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

fn the_bill_adds_up_and_proves_itself(mains: &Mains, root_key: &str) {
    let bill = mains.json(&["bill", "counter"]);
    let statement = &bill["statements"][0];
    let cycles = |field: &str| statement[field].as_str().expect("decimal").parse::<i128>().expect("a number");
    assert_eq!(cycles("opening") + cycles("received") - cycles("sent") - cycles("charged"), cycles("closing"));
    assert!(cycles("charged") > 0 && statement["outlook"]["runway_days"].is_string());

    let file = mains.path("bill.json");
    fs::write(&file, bill.to_string()).expect("writable");
    let verify = |mains: &Mains, file: &str| mains.succeed(&["bill", "verify", file, "--root-key", root_key]);
    assert!(verify(mains, &file).contains("every line holds"));
    let key = mains.path("root.key");
    let raw = hex::decode(root_key).expect("hex");
    fs::write(&key, &raw[raw.len() - 96..]).expect("writable");
    assert!(mains.succeed(&["bill", "verify", &file, "--root-key", &key]).contains("every line holds"));

    let refused = |change: &dyn Fn(&mut Value), options: &[&str]| {
        let mut changed = bill.clone();
        change(&mut changed);
        let path = mains.path("changed.json");
        fs::write(&path, changed.to_string()).expect("writable");
        mains.fail(&[&["bill", "verify", &path, "--root-key", root_key], options].concat())
    };
    let cheaper = |bill: &mut Value| bill["statements"][0]["lines"][1]["amount"] = "1".into();
    let error = refused(&cheaper, &[]);
    assert!(error.contains("statement 1, instructions, amount: stated 1, proven"), "{error}");
    let shorter = |bill: &mut Value| drop(bill["statements"][0]["lines"].as_array_mut().expect("lines").pop());
    assert!(refused(&shorter, &[]).contains("stream_bytes: stated no such line"));
    assert!(refused(&|_| {}, &["--not-before", "2100-01-01"]).contains("stale"));
    let foreign = format!("{}{}", &root_key[..root_key.len() - 192], "8".repeat(192));
    let error = mains.fail(&["bill", "verify", &file, "--root-key", &foreign]);
    assert!(error.contains("does not fit the root key"), "{error}");

    let page = mains.path("bill.html");
    fs::write(&page, mains.succeed(&["bill", "counter", "-o", "html"])).expect("writable");
    assert!(verify(mains, &page).contains("every line holds"));
    let shown = fs::read_to_string(&page).expect("readable").replace("= closing balance<td>", "= closing balance<td>9");
    fs::write(&page, shown).expect("writable");
    let error = mains.fail(&["bill", "verify", &page, "--root-key", root_key]);
    assert!(error.contains("shows something else"), "{error}");
    let table = mains.succeed(&["bill", "counter", "-o", "csv"]);
    let columns = |line: &str| line.split(',').count();
    assert!(table.lines().count() == 21 && table.lines().all(|line| columns(line) == 15), "{table}");
    assert!(mains.succeed(&["bill", "counter"]).contains("= closing balance"));
    assert!(mains.fail(&["canister", "list", "-o", "html"]).contains("text or json"));
}

fn the_journal_is_what_was_certified_and_can_be_rebuilt(mains: &Mains) {
    let node = mains.path("testnet/node-0");
    let audit = |mains: &Mains| mains.json(&["node", "journal", "audit", "--dir", &node]);
    let audited = audit(mains);
    assert!(audited["certified_height"].as_u64().is_some_and(|height| height > 0), "{audited}");
    let export = |form: &str| mains.succeed(&["node", "journal", "export", "--dir", &node, "--to", "3", "-o", form]);
    let (before, table) = (export("jsonl"), export("csv"));
    assert_eq!(before.lines().count() + 1, table.lines().count());
    assert!(mains.fail(&["node", "journal", "rebuild", "--dir", &node]).contains("stop it first"));

    mains.succeed(&["testnet", "kill", "0"]);
    let rebuilt = mains.json(&["node", "journal", "rebuild", "--dir", &node]);
    assert_eq!(rebuilt["complete_from"], 1, "no checkpoint yet: everything is replayed");
    assert!(mains.fail(&["node", "journal", "audit", "--dir", &node]).starts_with("error: "), "there is none now");
    mains.succeed(&["testnet", "restart", "0"]);
    let again = audit(mains);
    let height = |audited: &Value| audited["newest_height"].as_u64().expect("a height");
    assert!(height(&again) >= height(&audited) && again["blocks"].as_u64() >= audited["blocks"].as_u64());
    assert_eq!(export("jsonl"), before, "the same journal as before");
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
    assert_eq!(status["call_policy"], Value::Null);
    mains.succeed(&["canister", "limit", "motoko", "--cycles-per-hour", "5000000000", "--calls-per-caller", "7"]);
    let shown = mains.succeed(&["canister", "status", "motoko"]);
    assert!(shown.contains("5,000,000,000 cycles an hour, 0 spent") && shown.contains("7 an hour"), "{shown}");
    mains.succeed(&["canister", "limit", "motoko", "--none"]);
    assert_eq!(mains.json(&["canister", "status", "motoko"])["call_policy"], Value::Null);
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
