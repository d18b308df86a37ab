//! Requests that are not what the interface says: bytes, sizes, times, addresses.

use anyhow::Result;
use mains_conformance::{
    Suite,
    request::{self, Key},
};
use mains_types::{CanisterId, Principal, limits};
use std::path::Path;

/// A request that must be turned away at the door.
struct Case {
    name: String,
    path: String,
    body: Vec<u8>,
    status: u16,
    code: &'static str,
    text: &'static str,
}

const MALFORMED: &str = "MAINS-1001";

pub(super) async fn run(suite: &mut Suite<'_>, target: CanisterId) {
    let network = suite.network();
    let mut cases = malformed(target);
    cases.extend(misplaced(target));
    cases.extend(kept());
    for (index, case) in cases.into_iter().enumerate() {
        // Every replica gets some of them.
        let replica = index % mains_conformance::network::REPLICAS;
        suite
            .case(&format!("request: {}", case.name), async move {
                network.post(replica, &case.path, case.body).await?.is_refused(case.status, case.code, case.text)
            })
            .await;
    }
    suite.case("request: garbage of many lengths, at every endpoint", garbage(suite.network(), target)).await;
}

/// Bodies that are no requests; the first few go to every endpoint.
fn malformed(target: CanisterId) -> Vec<Case> {
    let valid = request::anonymous_call(target, "inc").encode_bytes();
    let too_large =
        request::unsigned(request::call(Principal::anonymous(), target, "inc", &vec![0; limits::INGRESS_BYTES_MAX]));
    let nested = |opening: &[u8], depth: usize| opening.repeat(depth);
    let with = |key: &str, value: &[u8]| request::with_entry(valid.clone(), key, value).expect("a small map");
    let mut trailing = valid.clone();
    trailing.push(0);
    // What follows the tag, the map's head and the key.
    let content = &valid[12..];
    let bodies: Vec<(&str, Vec<u8>, &'static str)> = vec![
        ("an empty body", Vec::new(), "malformed message"),
        ("JSON", br#"{"content": {"request_type": "call"}}"#.to_vec(), "malformed message"),
        ("a number", vec![0x18, 0x2a], "malformed message"),
        ("arrays 100,000 deep", nested(&[0x81], 100_000), "nested deeper than"),
        ("maps a million deep", nested(&[0xa1, 0x61, 0x61], 1_000_000), "nested deeper than"),
        ("arrays of indefinite length 100,000 deep", nested(&[0x9f], 100_000), "nested deeper than"),
        ("tags 100,000 deep", nested(&[0xc6], 100_000), ""),
        ("a million empty arrays", [&[0x9f][..], &vec![0x80; 1_000_000], &[0xff]].concat(), "more than"),
        ("an array that claims 2^62 entries", vec![0x9b, 0x40, 0, 0, 0, 0, 0, 0, 0], "malformed message"),
        ("a map that claims 2^64 - 1 entries", [&[0xbb][..], &[0xff; 8]].concat(), "malformed message"),
        ("a text that claims 4 GiB", vec![0x7a, 0xff, 0xff, 0xff, 0xff], "malformed message"),
        ("bytes that claim 2^63", vec![0x5b, 0x80, 0, 0, 0, 0, 0, 0, 0], "malformed message"),
        ("a request cut off in the middle", valid[..valid.len() / 2].to_vec(), "malformed message"),
        ("a byte after the request", trailing, "malformed message"),
        ("a field that nobody knows", with("priority", &[0x01]), "malformed message"),
        ("the same field twice", with("content", content), "malformed message"),
        ("a number for a signature", with("sender_sig", &[0x01]), "malformed message"),
        ("a call larger than a block takes", too_large.encode_bytes(), "more than the"),
    ];
    let case = |(name, body, text): (&str, Vec<u8>, &'static str)| Case {
        name: name.to_owned(),
        path: request::path(target, "call"),
        body,
        status: 400,
        code: MALFORMED,
        text,
    };
    let mut cases: Vec<Case> = bodies.into_iter().map(case).collect();
    cases.push(Case {
        name: "a body larger than any request".into(),
        path: request::path(target, "call"),
        body: vec![0; limits::HTTP_BODY_BYTES_MAX + 1],
        status: 413,
        code: "MAINS-1008",
        text: "larger than",
    });
    cases
}

/// Requests in order, but not for this address or not at this time.
fn misplaced(target: CanisterId) -> Vec<Case> {
    let key = Key::ed25519(21);
    let call =
        |seconds| request::signed(request::expiring(request::call(key.principal(), target, "inc", &[]), seconds), &key);
    let query = |seconds| {
        request::signed(request::expiring(request::query(key.principal(), target, "get", &[]), seconds), &key)
    };
    let anonymous = |seconds| {
        request::unsigned(request::expiring(request::call(Principal::anonymous(), target, "inc", &[]), seconds))
    };
    let other = mains_types::ids::canister_id(0xfff);
    let case = |name: &str, path: String, envelope: ic_transport_types::Envelope<'_>, code, text| Case {
        name: name.to_owned(),
        path,
        body: envelope.encode_bytes(),
        status: 400,
        code,
        text,
    };
    let at = |part: &str| request::path(target, part);
    vec![
        case("a call that expired a second ago", at("call"), call(-1), "MAINS-1101", "expired"),
        case("an anonymous call that expired a day ago", at("call"), anonymous(-86_400), "MAINS-1101", "expired"),
        case("a call that expires in ten minutes", at("call"), call(600), "MAINS-1101", "later than"),
        case("an anonymous call that expires in a year", at("call"), anonymous(31_536_000), "MAINS-1101", "later than"),
        case("a signed query that expired a minute ago", at("query"), query(-60), "MAINS-1101", "expired"),
        case("a signed query that expires in an hour", at("query"), query(3_600), "MAINS-1101", "later than"),
        case("a query sent as a call", at("call"), query(60), "MAINS-1002", "not a call"),
        case("a call sent as a query", at("query"), call(60), "MAINS-1002", "not a query"),
        case("a call sent as read_state", at("read_state"), call(60), "MAINS-1002", "not a read_state"),
        case(
            "a call to an address that is no principal",
            "/api/v4/canister/not-a-principal/call".into(),
            call(60),
            "MAINS-1003",
            "not a principal",
        ),
        case(
            "a call at another canister's address",
            request::path(other, "call"),
            call(60),
            "MAINS-1004",
            "does not fit",
        ),
        case(
            "a query at another canister's address",
            request::path(other, "query"),
            query(60),
            "MAINS-1004",
            "does not fit",
        ),
    ]
}

/// Bodies that once did harm, or that a fuzzer thought of: `testnet/regressions/requests`, one per file, in hex.
fn kept() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../regressions/requests");
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("a readable folder").path())
        .collect();
    files.sort();
    let case = |path: std::path::PathBuf| Case {
        name: format!("kept: {}", path.file_stem().unwrap_or_default().to_string_lossy()),
        path: request::path(mains_types::ids::canister_id(mains_types::ids::FIRST_CANISTER_INDEX), "call"),
        body: hex::decode(std::fs::read_to_string(&path).expect("readable").split_whitespace().collect::<String>())
            .unwrap_or_else(|error| panic!("{}: {error}", path.display())),
        status: 400,
        code: MALFORMED,
        text: "",
    };
    files.into_iter().map(case).collect()
}

/// Reproducible noise.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..length).map(|_| next()).collect()
}

async fn garbage(network: &mains_conformance::Network, target: CanisterId) -> Result<()> {
    for seed in 1..=60u64 {
        let length = 1 << (seed % 15);
        for part in ["call", "query", "read_state"] {
            let answer = network.post(seed as usize % 4, &request::path(target, part), noise(seed, length)).await?;
            answer.is_refused(400, MALFORMED, "")?;
        }
    }
    Ok(())
}
