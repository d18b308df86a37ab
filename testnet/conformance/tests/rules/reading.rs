//! read_state: what may be read, by whom, and what certificates show; metadata; statuses of requests.

use super::calls::{controllers, principal};
use anyhow::{Context as _, Result, ensure};
use candid::{Encode, Principal};
use ic_agent::hash_tree::LookupResult;
use ic_management_canister_types::{CanisterInstallMode, InstallCodeArgs};
use ic_transport_types::{EnvelopeContent, ReadStateResponse};
use mains_client::{Certificate, outcome::Status};
use mains_conformance::{
    Cases,
    answer::Answer,
    manage,
    module::Module,
    modules,
    request::{self, Key},
    script::{Script, words::*},
    world::{Canister, rejects, replies, same},
};
use mains_types::RequestId;
use sha2::{Digest as _, Sha256};

pub(super) fn add(c: &mut Cases) {
    state(c);
    metadata(c);
    statuses(c);
}

type Path<'a> = Vec<&'a [u8]>;

fn state(c: &mut Cases) {
    c.group("read_state");
    c.case("no paths: a certificate with the time", |w| async move {
        let certificate = shown(&w.empty().await?, vec![]).await?;
        let now = request::from_now(0);
        ensure!(certificate.time()?.get().abs_diff(now) < 120_000_000_000, "got {}", certificate.time()?);
        Ok(())
    });
    c.case("the time can be asked for", |w| async move {
        shown(&w.empty().await?, vec![vec![b"time"]]).await?.time().map(drop).map_err(Into::into)
    });
    c.case("an empty canister: its controllers, and no module hash", |w| async move {
        let a = w.empty().await?;
        ensure!(controllers_of(&a).await? == [Principal::anonymous()], "expected the creator");
        let answer = read(&a, None, a.id, vec![about(&a, b"module_hash")]).await?;
        ensure!(is_absent(&answer, &about(&a, b"module_hash"))?, "expected a proof that there is none");
        Ok(())
    });
    c.case("controllers: one, several, none", |w| async move {
        let a = w.canister().await?;
        ensure!(controllers_of(&a).await? == [Principal::anonymous()], "expected one");
        let mut several = vec![principal(1), principal(2), Principal::anonymous()];
        manage::done(a.set(controllers(several.clone())).await?)?;
        several.sort();
        let mut got = controllers_of(&a).await?;
        got.sort();
        ensure!(got == several, "expected {several:?}, got {got:?}");
        manage::done(a.set(controllers(vec![])).await?)?;
        ensure!(controllers_of(&a).await?.is_empty(), "expected none");
        Ok(())
    });
    c.case("the module hash", |w| async move {
        let a = w.canister().await?;
        let certificate = shown(&a, vec![about(&a, b"module_hash")]).await?;
        same(certificate.value(&about(&a, b"module_hash")).context("a hash")?, Sha256::digest(&w.plain))
    });
    c.case("a canister that does not exist: nothing, with a proof", |w| async move {
        let nobody = w.empty().await?.at(mains_types::ids::canister_id(0xf_ff0c));
        for name in [&b"controllers"[..], b"module_hash"] {
            let answer = read(&nobody, None, nobody.id, vec![about(&nobody, name)]).await?;
            ensure!(is_absent(&answer, &about(&nobody, name))?, "expected a proof that there is none");
        }
        Ok(())
    });
    c.case("another canister than that of the path", |w| async move {
        let (a, b) = (w.empty().await?, w.empty().await?);
        refused(&read(&a, None, b.id, vec![about(&a, b"controllers")]).await?)?;
        refused(&read(&a, None, Principal::management_canister(), vec![about(&a, b"controllers")]).await?)
    });
    c.case("a path that does not exist, and the whole tree", |w| async move {
        let a = w.empty().await?;
        refused(&read(&a, None, a.id, vec![vec![b"bogus"]]).await?)?;
        refused(&read(&a, None, a.id, vec![vec![]]).await?)?;
        refused(&read(&a, None, a.id, vec![vec![b"canister"]]).await?)?;
        refused(&read(&a, None, a.id, vec![vec![b"canister", a.id.as_slice()]]).await?)?;
        refused(&read(&a, None, a.id, vec![vec![b"request_status"]]).await?)
    });
    c.case("certified data by read_state", |w| async move {
        let a = w.canister_that(certify("data")).await?;
        let answer = read(&a, None, a.id, vec![about(&a, b"certified_data")]).await?;
        if answer.status == 200 {
            same(certificate(&answer, &a)?.value(&about(&a, b"certified_data")).unwrap_or_default(), "data")?;
        }
        Ok(())
    });
    c.case("the subnet's key and its nodes' keys", |w| async move {
        let a = w.empty().await?;
        let id = Principal::self_authenticating(w.network.root_key());
        let certificate = shown(&a, vec![vec![b"subnet"]]).await?;
        same(certificate.value(&[b"subnet", id.as_slice(), b"public_key"]).context("a key")?, w.network.root_key())
    });
    c.case("more than 1,000 paths, or more than 127 labels", |w| async move {
        let a = w.empty().await?;
        refused(&read(&a, None, a.id, vec![vec![b"time"]; 1_001]).await?)?;
        refused(&read(&a, None, a.id, vec![vec![b"time"; 128]]).await?)?;
        shown(&a, vec![vec![b"time"]; 1_000]).await.map(drop)
    });
    c.case("only what is asked for is shown", |w| async move {
        let a = w.canister().await?;
        let certificate = shown(&a, vec![about(&a, b"module_hash")]).await?;
        ensure!(certificate.value(&about(&a, b"controllers")).is_none(), "expected no controllers");
        Ok(())
    });
    c.case("a certificate of an answer is from the state after it", |w| async move {
        let a = w.canister().await?;
        manage::done(a.set(controllers(vec![principal(3), Principal::anonymous()])).await?)?;
        ensure!(controllers_of(&a).await?.len() == 2, "expected the change");
        Ok(())
    });
}

fn metadata(c: &mut Cases) {
    c.group("metadata");
    c.case("a section that is not there", |w| async move {
        let a = w.canister().await?;
        let answer = read(&a, None, a.id, vec![section(&a, b"absent")]).await?;
        ensure!(is_absent(&answer, &section(&a, b"absent"))?, "expected a proof that there is none");
        Ok(())
    });
    c.case("a public section is for everybody", |w| async move {
        let a = with_section(&w, b"icp:public note").await?;
        for key in [None, Some(Key::ed25519(8))] {
            let answer = read(&a, key.as_ref(), a.id, vec![section(&a, b"note")]).await?;
            same(certificate(&answer, &a)?.value(&section(&a, b"note")).context("a section")?, "content")?;
        }
        Ok(())
    });
    c.case("a private section is for controllers", |w| async move {
        let a = with_section(&w, b"icp:private note").await?;
        let answer = read(&a, None, a.id, vec![section(&a, b"note")]).await?;
        same(certificate(&answer, &a)?.value(&section(&a, b"note")).context("a section")?, "content")?;
        refused(&read(&a, Some(&Key::ed25519(8)), a.id, vec![section(&a, b"note")]).await?)
    });
    for (name, label) in
        [("an empty name", &b""[..]), ("spaces", b"two words"), ("letters beyond ASCII", "☃".as_bytes())]
    {
        c.case(format!("a section whose name has {name}"), move |w| async move {
            let a = with_section(&w, &[b"icp:public ", label].concat()).await?;
            let certificate = shown(&a, vec![section(&a, label)]).await?;
            same(certificate.value(&section(&a, label)).context("a section")?, "content")
        });
    }
    c.case("a name that is no UTF-8", |w| async move {
        let a = w.canister().await?;
        refused(&read(&a, None, a.id, vec![section(&a, b"\xe2\x28\xa1")]).await?)
    });
    c.case("all sections at once are not to be had", |w| async move {
        let a = with_section(&w, b"icp:public note").await?;
        refused(&read(&a, None, a.id, vec![vec![b"canister", a.id.as_slice(), b"metadata"]]).await?)
    });
    c.case("sections go with the code", |w| async move {
        let a = with_section(&w, b"icp:public note").await?;
        manage::done(a.reinstall(Script::new()).await?)?;
        let answer = read(&a, None, a.id, vec![section(&a, b"note")]).await?;
        ensure!(is_absent(&answer, &section(&a, b"note"))?, "expected a proof that there is none");
        Ok(())
    });
}

fn statuses(c: &mut Cases) {
    c.group("statuses of requests");
    c.case("replied: with the reply; parts of it can be asked for", |w| async move {
        let a = w.canister().await?;
        let id = submit(&a, &Key::ed25519(8), reply("done")).await?;
        let key = Key::ed25519(8);
        let answer = read(&a, Some(&key), a.id, vec![vec![b"request_status", &id.0]]).await?;
        match certificate(&answer, &a)?.status(&id)? {
            Status::Ended(Ok(reply)) => same(reply, "done")?,
            other => anyhow::bail!("expected a reply, got {other:?}"),
        }
        let part: Path<'_> = vec![b"request_status", &id.0, b"reply"];
        let answer = read(&a, Some(&key), a.id, vec![part.clone()]).await?;
        same(certificate(&answer, &a)?.value(&part).context("a reply")?, "done")
    });
    c.case("rejected: with code, message and error code", |w| async move {
        let a = w.canister().await?;
        let key = Key::ed25519(8);
        let id = submit(&a, &key, reject("no")).await?;
        let answer = read(&a, Some(&key), a.id, vec![vec![b"request_status", &id.0]]).await?;
        match certificate(&answer, &a)?.status(&id)? {
            Status::Ended(Err(rejection)) => {
                ensure!(rejection.code == 4 && rejection.message == "no", "got {rejection:?}");
                ensure!(rejection.error_code.is_some(), "expected an error code");
                Ok(())
            }
            other => anyhow::bail!("expected a reject, got {other:?}"),
        }
    });
    c.case("an id that nobody sent: a proof that there is none", |w| async move {
        let a = w.canister().await?;
        for id in [[0; 32], [0xff; 32], [7; 32]] {
            let answer = read(&a, None, a.id, vec![vec![b"request_status", &id]]).await?;
            ensure!(is_absent(&answer, &[b"request_status", &id, b"status"])?, "expected a proof that there is none");
        }
        Ok(())
    });
    c.case("an id that is none", |w| async move {
        let a = w.canister().await?;
        for id in [&b""[..], b"short", &[0; 31], &[0; 33]] {
            refused(&read(&a, None, a.id, vec![vec![b"request_status", id]]).await?)?;
        }
        Ok(())
    });
    c.case("somebody else's request", |w| async move {
        let a = w.canister().await?;
        let id = submit(&a, &Key::ed25519(8), reply("secret")).await?;
        refused(&read(&a, None, a.id, vec![vec![b"request_status", &id.0]]).await?)?;
        refused(&read(&a, Some(&Key::ed25519(9)), a.id, vec![vec![b"request_status", &id.0]]).await?)?;
        let paths = vec![vec![&b"time"[..]], vec![b"request_status", &id.0, b"status"]];
        refused(&read(&a, None, a.id, paths).await?)
    });
    c.case("two requests at once", |w| async move {
        let a = w.canister().await?;
        let key = Key::ed25519(8);
        let (one, two) = (submit(&a, &key, reply("1")).await?, submit(&a, &key, reply("2")).await?);
        let paths = vec![vec![&b"request_status"[..], &one.0], vec![b"request_status", &two.0]];
        refused(&read(&a, Some(&key), a.id, paths).await?)
    });
    c.case("a request to another canister than that of the path", |w| async move {
        let (a, b) = (w.canister().await?, w.canister().await?);
        let key = Key::ed25519(8);
        let id = submit(&a, &key, reply("1")).await?;
        refused(&read(&a, Some(&key), b.id, vec![vec![b"request_status", &id.0]]).await?)
    });
    c.case("sending a request again does nothing again", |w| async move {
        let a = w.canister().await?;
        let script = keep(kept() + "x") + reply(kept());
        let content = request::call(Principal::anonymous(), a.id, "update", &script.bytes());
        let envelope = request::unsigned(content);
        for _ in 0..3 {
            let answer = w.network.post(a.replica, &request::path(a.id, "call"), envelope.encode_bytes()).await?;
            ensure!(matches!(answer.status, 200 | 202), "expected that it is taken, got {}", answer.status);
        }
        same(a.look(reply(kept())).await?, "x")
    });
    c.case("another nonce makes another request", |w| async move {
        let a = w.canister().await?;
        let script = keep(kept() + "x") + reply(kept());
        let content = request::call(Principal::anonymous(), a.id, "update", &script.bytes());
        for nonce in [None, Some(vec![]), Some(vec![1]), Some(vec![0; 32])] {
            let EnvelopeContent::Call { ingress_expiry, sender, canister_id, method_name, arg, .. } = content.clone()
            else {
                anyhow::bail!("a call")
            };
            let content = EnvelopeContent::Call {
                nonce,
                ingress_expiry,
                sender,
                canister_id,
                method_name,
                arg,
                sender_info: None,
            };
            let envelope = request::unsigned(content).encode_bytes();
            let answer = w.network.post(a.replica, &request::path(a.id, "call"), envelope).await?;
            ensure!(matches!(answer.status, 200 | 202), "expected that it is taken, got {}", answer.status);
        }
        mains_conformance::world::until("all are done", async || Ok(a.look(reply(kept())).await?.len() == 4)).await
    });
    c.case("the older call endpoint answers 202, and the status is read", |w| async move {
        let a = w.canister().await?;
        let key = Key::ed25519(8);
        let content = request::call(key.principal(), a.id, "update", &reply("old way").bytes());
        let envelope = request::signed(content, &key);
        let id = request::id(&envelope);
        let path = format!("/api/v2/canister/{}/call", a.id);
        let answer = w.network.post(a.replica, &path, envelope.encode_bytes()).await?;
        ensure!(answer.status == 202, "expected HTTP 202, got {}", answer.status);
        mains_conformance::world::until("it is done", async || {
            let answer = read(&a, Some(&key), a.id, vec![vec![b"request_status", &id.0]]).await?;
            Ok(matches!(certificate(&answer, &a)?.status(&id), Ok(Status::Ended(Ok(reply))) if reply == b"old way"))
        })
        .await
    });
    c.case("an install whose module is being compiled is in processing, and the old code answers", |w| async move {
        let a = w.canister().await?;
        let key = Key::ed25519(8);
        manage::done(a.set(controllers(vec![Principal::anonymous(), key.principal()])).await?)?;
        // Hard to compile by what it weighs: two rounds and three seconds.
        let nested = ["(loop ".repeat(400), ")".repeat(400)].concat();
        let module = modules::assemble(&format!("(module {})", format!("(func {nested})").repeat(3)));
        let args = InstallCodeArgs {
            mode: CanisterInstallMode::Reinstall,
            canister_id: a.id,
            wasm_module: module.clone(),
            arg: Vec::new(),
            sender_canister_version: None,
        };
        let management = Principal::management_canister();
        let content = request::call(key.principal(), management, "install_code", &Encode!(&args)?);
        let envelope = request::signed(content, &key);
        let id = request::id(&envelope);
        let path = format!("/api/v2/canister/{}/call", a.id);
        let answer = w.network.post(a.replica, &path, envelope.encode_bytes()).await?;
        ensure!(answer.status == 202, "expected HTTP 202, got {}", answer.status);
        let shown = async || {
            let answer = read(&a, Some(&key), a.id, vec![vec![b"request_status", &id.0]]).await?;
            certificate(&answer, &a)
        };
        mains_conformance::world::until("it is in processing", async || {
            let certificate = shown().await?;
            let status = certificate.value(&[b"request_status", &id.0, b"status"]);
            ensure!(status.is_none_or(|status| status == b"received" || status == b"processing"), "got {status:?}");
            Ok(status.is_some_and(|status| status == b"processing"))
        })
        .await?;
        replies(&a.update(reply("old")).await?, "old")?;
        mains_conformance::world::until("it has ended", async || match shown().await?.status(&id)? {
            Status::Ended(Ok(_)) => Ok(true),
            Status::Ended(Err(rejection)) => anyhow::bail!("expected a reply, got {rejection:?}"),
            _ => Ok(false),
        })
        .await?;
        ensure!(a.status().await?.module_hash == Some(Sha256::digest(&module).to_vec()), "expected the new module");
        Ok(())
    });
    c.case("a call that this replica does not take leaves no status", |w| async move {
        let a = w.empty().await?;
        let key = Key::ed25519(8);
        rejects(&a.update(Script::new()).await?, 5, "")?;
        let envelope = request::signed(request::call(key.principal(), a.id, "update", &[]), &key);
        w.network.post(a.replica, &request::path(a.id, "call"), envelope.encode_bytes()).await?;
        let id = request::id(&envelope);
        let answer = read(&a, Some(&key), a.id, vec![vec![b"request_status", &id.0]]).await?;
        ensure!(is_absent(&answer, &[b"request_status", &id.0, b"status"])?, "expected a proof that there is none");
        Ok(())
    });
}

/// Calls an update and waits until it has ended.
async fn submit(a: &Canister, key: &Key, script: Script) -> Result<RequestId> {
    let envelope = request::signed(request::call(key.principal(), a.id, "update", &script.bytes()), key);
    let id = request::id(&envelope);
    let network = &a.world().network;
    let answer = network.post(a.replica, &request::path(a.id, "call"), envelope.encode_bytes()).await?;
    if answer.ended(&id, network.root_key())?.is_none() {
        mains_conformance::world::until("it has ended", async || {
            let answer = read(a, Some(key), a.id, vec![vec![b"request_status", &id.0]]).await?;
            Ok(matches!(certificate(&answer, a)?.status(&id), Ok(Status::Ended(_))))
        })
        .await?;
    }
    Ok(id)
}

fn about<'a>(a: &'a Canister, name: &'a [u8]) -> Path<'a> {
    vec![b"canister", a.id.as_slice(), name]
}

fn section<'a>(a: &'a Canister, name: &'a [u8]) -> Path<'a> {
    vec![b"canister", a.id.as_slice(), b"metadata", name]
}

async fn with_section(world: &std::sync::Arc<mains_conformance::World>, name: &[u8]) -> Result<Canister> {
    let module = Module::read(&modules::counter())?.with_section(name, b"content").wasm();
    world.with_module(&module, Script::new()).await
}

/// Asks for paths: at the endpoint of `effective`, as this key's owner or anonymously.
async fn read(a: &Canister, key: Option<&Key>, effective: Principal, paths: Vec<Path<'_>>) -> Result<Answer> {
    let content = EnvelopeContent::ReadState {
        ingress_expiry: request::from_now(240),
        sender: key.map_or_else(Principal::anonymous, Key::principal),
        paths: paths.into_iter().map(|path| path.into_iter().map(Into::into).collect()).collect(),
    };
    let envelope = match key {
        Some(key) => request::signed(content, key),
        None => request::unsigned(content),
    };
    a.world().network.post(a.replica, &request::path(effective, "read_state"), envelope.encode_bytes()).await
}

fn refused(answer: &Answer) -> Result<()> {
    ensure!((400..500).contains(&answer.status), "expected that it is refused, got HTTP {}", answer.status);
    Ok(())
}

fn bytes(answer: &Answer) -> Result<Vec<u8>> {
    ensure!(
        answer.status == 200,
        "expected HTTP 200, got {}: {}",
        answer.status,
        String::from_utf8_lossy(&answer.body)
    );
    Ok(mains_wire::decode::<ReadStateResponse>(&answer.body)?.certificate)
}

/// The certificate in an answer; its signature is verified.
fn certificate(answer: &Answer, a: &Canister) -> Result<Certificate> {
    Ok(Certificate::verify(&bytes(answer)?, a.world().network.root_key())?)
}

async fn shown(a: &Canister, paths: Vec<Path<'_>>) -> Result<Certificate> {
    certificate(&read(a, None, a.id, paths).await?, a)
}

/// Whether the answer proves that there is nothing at the path.
fn is_absent(answer: &Answer, path: &[&[u8]]) -> Result<bool> {
    let certificate: ic_agent::Certificate = mains_wire::decode(&bytes(answer)?)?;
    Ok(matches!(certificate.tree.lookup_path(path), LookupResult::Absent))
}

async fn controllers_of(a: &Canister) -> Result<Vec<Principal>> {
    let certificate = shown(a, vec![about(a, b"controllers")]).await?;
    let list = certificate.value(&about(a, b"controllers")).context("controllers")?;
    Ok(mains_wire::decode(list)?)
}
