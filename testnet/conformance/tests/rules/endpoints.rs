//! Endpoints, effective canister ids, senders. More about malformed requests: `tests/bad_input`.

use anyhow::{Result, ensure};
use candid::Principal;
use ic_transport_types::EnvelopeContent;
use mains_conformance::{
    Cases,
    answer::Answer,
    request,
    script::words::*,
    world::{Canister, replies},
};
use serde::Deserialize;

pub(super) fn add(c: &mut Cases) {
    c.group("endpoints");
    c.case("the status has the root key and is healthy, on every replica", |w| async move {
        for replica in 0..4 {
            let url = format!("{}/api/v2/status", w.network.url(replica));
            let body = reqwest::get(url).await?.bytes().await?;
            let status: NodeStatus = mains_wire::decode(&body)?;
            ensure!(status.root_key == w.network.root_key(), "expected the root key");
            ensure!(status.replica_health_status == "healthy", "got {}", status.replica_health_status);
        }
        Ok(())
    });
    for (endpoint, kind) in [
        ("query", "call"),
        ("call", "query"),
        ("read_state", "query"),
        ("query", "read_state"),
        ("read_state", "call"),
        ("call", "read_state"),
    ] {
        c.case(format!("a {kind} request at the endpoint for {endpoint}"), move |w| async move {
            let a = w.canister().await?;
            let content = match kind {
                "call" => request::call(Principal::anonymous(), a.id, "update", &reply("").bytes()),
                "query" => request::query(Principal::anonymous(), a.id, "query", &reply("").bytes()),
                _ => time_of(),
            };
            turned_away(&post(&a, &request::path(a.id, endpoint), content).await?)
        });
    }
    for version in ["v2", "v3", "v4"] {
        c.case(format!("calls under /api/{version}"), move |w| async move {
            let a = w.canister().await?;
            let content = request::call(Principal::anonymous(), a.id, "update", &reply("in").bytes());
            let answer = post(&a, &format!("/api/{version}/canister/{}/call", a.id), content).await?;
            let expected: &[u16] = if version == "v2" { &[202] } else { &[200, 202] };
            ensure!(expected.contains(&answer.status), "expected {expected:?}, got {}", answer.status);
            Ok(())
        });
    }
    for version in ["v2", "v3"] {
        c.case(format!("queries and read_state under /api/{version}"), move |w| async move {
            let a = w.canister().await?;
            let content = request::query(Principal::anonymous(), a.id, "query", &reply("in").bytes());
            let answer = post(&a, &format!("/api/{version}/canister/{}/query", a.id), content).await?;
            replies(&answer.answered()?, "in")?;
            let answer = post(&a, &format!("/api/{version}/canister/{}/read_state", a.id), time_of()).await?;
            ensure!(answer.status == 200, "expected HTTP 200, got {}", answer.status);
            Ok(())
        });
    }
    c.case("read_state of the subnet", |w| async move {
        let a = w.canister().await?;
        let subnet = Principal::self_authenticating(w.network.root_key());
        for version in ["v2", "v3"] {
            let answer = post(&a, &format!("/api/{version}/subnet/{subnet}/read_state"), time_of()).await?;
            ensure!(answer.status == 200, "expected HTTP 200, got {}", answer.status);
        }
        turned_away(&post(&a, &format!("/api/v3/subnet/{}/read_state", a.id), time_of()).await?)
    });

    c.group("effective canister ids");
    c.case("another canister in the path of a call and of a query", |w| async move {
        let (a, b) = (w.canister().await?, w.canister().await?);
        turned_away(&post(&a, &request::path(b.id, "call"), call_of(&a)).await?)?;
        turned_away(&post(&a, &request::path(b.id, "query"), query_of(&a)).await?)
    });
    c.case("another canister in the path of a management call", |w| async move {
        let (a, b) = (w.canister().await?, w.canister().await?);
        let management = Principal::management_canister();
        let content = request::call(Principal::anonymous(), management, "canister_status", &a.record());
        turned_away(&post(&a, &request::path(b.id, "call"), content.clone()).await?)?;
        let answer = post(&a, &request::path(a.id, "call"), content).await?;
        ensure!(matches!(answer.status, 200 | 202), "expected that it is taken, got {}", answer.status);
        let content = request::query(Principal::anonymous(), management, "canister_status", &a.record());
        turned_away(&post(&a, &request::path(b.id, "query"), content).await?)
    });
    c.case("the management canister in the path", |w| async move {
        let a = w.canister().await?;
        let management = Principal::management_canister();
        for (endpoint, content) in [("call", call_of(&a)), ("query", query_of(&a)), ("read_state", time_of())] {
            let answer = post(&a, &request::path(management, endpoint), content).await?;
            if endpoint != "read_state" {
                turned_away(&answer)?;
            }
        }
        let record = a.record();
        let content = request::call(Principal::anonymous(), management, "canister_status", &record);
        turned_away(&post(&a, &request::path(management, "call"), content).await?)
    });
    c.case("an id that is no principal", |w| async move {
        let a = w.canister().await?;
        for id in ["", "x", "not-a-principal", "aaaaa-ab", &format!("{}x", a.id)] {
            for (endpoint, content) in [("call", call_of(&a)), ("query", query_of(&a)), ("read_state", time_of())] {
                turned_away(&post(&a, &format!("/api/v3/canister/{id}/{endpoint}"), content).await?)?;
            }
        }
        Ok(())
    });
    c.case("a canister that does not exist in the path of another one's call", |w| async move {
        let a = w.canister().await?;
        let nobody = mains_types::ids::canister_id(0xf_ff0d);
        turned_away(&post(&a, &request::path(nobody, "call"), call_of(&a)).await?)
    });

    c.group("senders");
    c.case("the anonymous principal needs no signature: calls, queries, read_state", |w| async move {
        let a = w.canister().await?;
        for (endpoint, content) in [("call", call_of(&a)), ("query", query_of(&a)), ("read_state", time_of())] {
            let answer = post(&a, &request::path(a.id, endpoint), content).await?;
            ensure!(matches!(answer.status, 200 | 202), "expected that {endpoint} is taken, got {}", answer.status);
        }
        Ok(())
    });
    c.case("any other sender needs one: calls, queries, read_state", |w| async move {
        let a = w.canister().await?;
        let sender = request::Key::ed25519(1).principal();
        let read = EnvelopeContent::ReadState { ingress_expiry: request::from_now(60), sender, paths: vec![] };
        let call = request::call(sender, a.id, "update", &reply("").bytes());
        let query = request::query(sender, a.id, "query", &reply("").bytes());
        for (endpoint, content) in [("call", call), ("query", query), ("read_state", read)] {
            turned_away(&post(&a, &request::path(a.id, endpoint), content).await?)?;
        }
        Ok(())
    });
    for (name, key) in request::Key::kinds(77) {
        c.case(format!("a sender with a {name} key: calls, queries, read_state"), move |w| async move {
            let a = w.canister().await?;
            let sender = key.principal();
            let who = || reply(caller()).bytes();
            let query = request::signed(request::query(sender, a.id, "query", &who()), &key);
            let answer = w.network.post(a.replica, &request::path(a.id, "query"), query.encode_bytes()).await?;
            replies(&answer.answered()?, sender.as_slice())?;
            let call = request::signed(request::call(sender, a.id, "update", &who()), &key);
            let answer = w.network.post(a.replica, &request::path(a.id, "call"), call.encode_bytes()).await?;
            if let Some(ended) = answer.ended(&request::id(&call), w.network.root_key())? {
                replies(&ended, sender.as_slice())?;
            }
            let read = EnvelopeContent::ReadState { ingress_expiry: request::from_now(60), sender, paths: vec![] };
            let read = request::signed(read, &key).encode_bytes();
            let answer = w.network.post(a.replica, &request::path(a.id, "read_state"), read).await?;
            ensure!(answer.status == 200, "expected HTTP 200, got {}", answer.status);
            Ok(())
        });
        let (_, key) = request::Key::kinds(78).into_iter().find(|(kind, _)| *kind == name).expect("the same kinds");
        c.case(format!("a wrong {name} signature: calls, queries, read_state"), move |w| async move {
            let a = w.canister().await?;
            let (sender, other) = (key.principal(), request::Key::ed25519(3));
            let read = EnvelopeContent::ReadState { ingress_expiry: request::from_now(60), sender, paths: vec![] };
            let call = request::call(sender, a.id, "update", &reply("").bytes());
            let query = request::query(sender, a.id, "query", &reply("").bytes());
            for (endpoint, content) in [("call", call), ("query", query), ("read_state", read)] {
                let mut envelope = request::signed(content.clone(), &key);
                if let Some(signature) = &mut envelope.sender_sig {
                    signature[7] ^= 1;
                }
                for envelope in [envelope, request::signed(content, &other)] {
                    let path = request::path(a.id, endpoint);
                    turned_away(&w.network.post(a.replica, &path, envelope.encode_bytes()).await?)?;
                }
            }
            Ok(())
        });
    }
    targets(c);
}

/// Delegations that name canisters.
fn targets(c: &mut Cases) {
    use ic_transport_types::{Delegation, Envelope};
    use mains_conformance::request::Key;
    c.group("delegation targets");
    let request_by = |a: &Canister, targets: Vec<Option<Vec<Principal>>>, kind: &'static str| -> Envelope<'static> {
        let owner = Key::ed25519(40);
        let mut chain = Vec::new();
        let mut key = owner.clone();
        for (index, targets) in targets.into_iter().enumerate() {
            let next = Key::ed25519(41 + index as u8);
            let expiration = request::from_now(600);
            let delegation = Delegation { pubkey: next.der(), expiration, targets, permissions: None };
            chain.push(key.delegate_as(delegation));
            key = next;
        }
        let argument = reply(caller()).bytes();
        let content = match kind {
            "call" => request::call(owner.principal(), a.id, "update", &argument),
            _ => request::query(owner.principal(), a.id, "query", &argument),
        };
        request::delegated(content, &owner, chain, &key)
    };
    type Targets = fn(Principal) -> Vec<Option<Vec<Principal>>>;
    let good: [(&str, Targets); 6] = [
        ("no targets", |_| vec![None]),
        ("the canister alone", |id| vec![Some(vec![id])]),
        ("the canister among others", |id| vec![Some(vec![Principal::management_canister(), id])]),
        ("the canister in the first of two", |id| vec![Some(vec![id]), None]),
        ("the canister in both", |id| vec![Some(vec![id]), Some(vec![id, Principal::management_canister()])]),
        ("the canister twice", |id| vec![Some(vec![id, id])]),
    ];
    let bad: [(&str, Targets); 5] = [
        ("no canister", |_| vec![Some(vec![])]),
        ("another canister", |_| vec![Some(vec![Principal::management_canister()])]),
        ("another canister in the first of two", |id| vec![Some(vec![Principal::anonymous()]), Some(vec![id])]),
        ("another canister in the second of two", |id| vec![Some(vec![id]), Some(vec![Principal::anonymous()])]),
        ("no canister in the second of two", |id| vec![Some(vec![id]), Some(vec![])]),
    ];
    for (name, targets) in good {
        c.case(format!("taken: {name}"), move |w| async move {
            let a = w.canister().await?;
            for kind in ["call", "query"] {
                let envelope = request_by(&a, targets(a.id), kind);
                let answer = w.network.post(a.replica, &request::path(a.id, kind), envelope.encode_bytes()).await?;
                ensure!(matches!(answer.status, 200 | 202), "expected that the {kind} is taken, got {}", answer.status);
            }
            Ok(())
        });
    }
    for (name, targets) in bad {
        c.case(format!("turned away: {name}"), move |w| async move {
            let a = w.canister().await?;
            for kind in ["call", "query"] {
                let envelope = request_by(&a, targets(a.id), kind);
                turned_away(&w.network.post(a.replica, &request::path(a.id, kind), envelope.encode_bytes()).await?)?;
            }
            Ok(())
        });
    }
}

/// What the status endpoint tells.
#[derive(Deserialize)]
struct NodeStatus {
    #[serde(with = "serde_bytes")]
    root_key: Vec<u8>,
    replica_health_status: String,
}

async fn post(a: &Canister, path: &str, content: EnvelopeContent) -> Result<Answer> {
    a.world().network.post(a.replica, path, request::unsigned(content).encode_bytes()).await
}

fn call_of(a: &Canister) -> EnvelopeContent {
    request::call(Principal::anonymous(), a.id, "update", &reply("").bytes())
}

fn query_of(a: &Canister) -> EnvelopeContent {
    request::query(Principal::anonymous(), a.id, "query", &reply("").bytes())
}

fn time_of() -> EnvelopeContent {
    EnvelopeContent::ReadState {
        ingress_expiry: request::from_now(60),
        sender: Principal::anonymous(),
        paths: vec![vec!["time".into()]],
    }
}

fn turned_away(answer: &Answer) -> Result<()> {
    ensure!((400..500).contains(&answer.status), "expected that it is turned away, got HTTP {}", answer.status);
    Ok(())
}
