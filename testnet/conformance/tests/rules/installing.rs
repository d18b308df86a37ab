//! Installing, reinstalling, upgrading; the chunk store.

use super::calls::{controllers, principal};
use anyhow::{Result, ensure};
use candid::{Encode, Principal};
use ic_management_canister_types::{
    CanisterInstallMode, ChunkHash, InstallChunkedCodeArgs, UpgradeFlags, UploadChunkArgs, WasmMemoryPersistence,
};
use mains_conformance::{
    Cases,
    answer::Ended,
    manage,
    module::Module,
    script::{Call, Script, operations as op, words::*},
    world::{Canister, decode, rejects, replies, same},
};
use sha2::{Digest as _, Sha256};

pub(super) fn add(c: &mut Cases) {
    installing(c);
    upgrading(c);
    chunks(c);
}

fn installing(c: &mut Cases) {
    c.group("installing and reinstalling");
    c.case("init runs with the argument", |w| async move {
        let a = w.canister_that(keep("from init")).await?;
        same(a.look(reply(kept())).await?, "from init")
    });
    c.case("the module's hash is shown, as it was uploaded", |w| async move {
        let a = w.canister().await?;
        let hash = Sha256::digest(&w.plain).to_vec();
        ensure!(a.status().await?.module_hash == Some(hash), "expected the hash of the module");
        Ok(())
    });
    c.case("a module in gzip is installed, and the hash is of the gzip file", |w| async move {
        let a = w.empty().await?;
        let packed = gzip(&w.plain);
        manage::done(a.deploy(CanisterInstallMode::Install, &packed, keep("unpacked")).await?)?;
        same(a.look(reply(kept())).await?, "unpacked")?;
        let hash = Sha256::digest(&packed).to_vec();
        ensure!(a.status().await?.module_hash == Some(hash), "expected the hash of the gzip file");
        manage::done(a.deploy(CanisterInstallMode::Upgrade(None), &packed, Script::new()).await?)?;
        manage::done(a.deploy(CanisterInstallMode::Reinstall, &packed, Script::new()).await?).map(drop)
    });
    c.case("installing over code is refused and changes nothing", |w| async move {
        let a = w.canister_that(keep("old")).await?;
        rejects(&a.install(keep("new")).await?, 5, "code already")?;
        same(a.look(reply(kept())).await?, "old")
    });
    c.case("reinstalling an empty canister installs", |w| async move {
        let a = w.empty().await?;
        manage::done(a.reinstall(keep("new")).await?)?;
        same(a.look(reply(kept())).await?, "new")
    });
    c.case("reinstalling runs init on empty memories", |w| async move {
        let a = w.canister_that(keep("old") + ignore(stable_grow(1)) + stable_write(0, "old")).await?;
        manage::done(a.reinstall(Script::new()).await?)?;
        same(a.look(reply(kept())).await?, "")?;
        same(a.look(reply_number(stable_size())).await?, 0u64.to_le_bytes())
    });
    c.case("a trap in init: the canister stays empty", |w| async move {
        let a = w.empty().await?;
        rejects(&a.install(keep("undone") + trap("in init")).await?, 5, "in init")?;
        ensure!(a.status().await?.module_hash.is_none(), "expected no module");
        rejects(&a.update(reply("")).await?, 5, "no Wasm module")
    });
    c.case("a trap in init of a reinstall: everything stays", |w| async move {
        let a = w.canister_that(keep("old") + ignore(stable_grow(1)) + stable_write(0, "old")).await?;
        rejects(&a.reinstall(trap("in init")).await?, 5, "in init")?;
        same(a.look(reply(kept())).await?, "old")?;
        same(a.look(reply(stable_read(0, 3))).await?, "old")
    });
    c.case("init cannot answer, reject or call", |w| async move {
        let a = w.empty().await?;
        for script in [reply("x"), reject("x"), Call::to(myself()).send()] {
            rejects(&a.install(script).await?, 5, "cannot be called from")?;
        }
        ensure!(a.status().await?.module_hash.is_none(), "expected no module");
        Ok(())
    });
    c.case("an init that needs more than one round is done in several", |w| async move {
        let a = w.empty().await?;
        manage::done(a.install(spin(300_000_000) + keep("ready")).await?)?;
        same(a.look(reply(kept())).await?, "ready")
    });
    c.case("a canister cannot install over itself while it serves: its own upgrade comes after", |w| async move {
        let a = w.canister().await?;
        manage::done(a.set(controllers(vec![a.id, Principal::anonymous()])).await?)?;
        let args = ic_management_canister_types::InstallCodeArgs {
            mode: CanisterInstallMode::Upgrade(None),
            canister_id: a.id,
            wasm_module: w.plain.clone(),
            arg: keep("upgraded").bytes(),
            sender_canister_version: None,
        };
        // The answer belongs to a context of the old code; the callback is looked for in the new one.
        let call = Call::management("install_code", Encode!(&args)?).send();
        let _ = a.update(call).await?;
        same(a.look(reply(kept())).await?, "upgraded")
    });
}

fn upgrading(c: &mut Cases) {
    c.group("upgrades");
    c.case("the heap is new, stable memory stays, post_upgrade runs with the argument", |w| async move {
        let a = w.canister_that(keep("old") + ignore(stable_grow(1)) + stable_write(3, "stable")).await?;
        manage::done(a.upgrade(keep(stable_read(3, 6))).await?)?;
        same(a.look(reply(kept())).await?, "stable")
    });
    c.case("pre_upgrade writes what post_upgrade reads", |w| async move {
        let a = w.canister_that(keep("carried") + ignore(stable_grow(1))).await?;
        a.get(on(op::PRE_UPGRADE, stable_write(0, kept())) + reply("")).await?;
        manage::done(a.upgrade(keep(stable_read(0, 7))).await?)?;
        same(a.look(reply(kept())).await?, "carried")
    });
    c.case("init does not run", |w| async move {
        let a = w.canister_that(keep("init")).await?;
        manage::done(a.upgrade(Script::new()).await?)?;
        same(a.look(reply(kept())).await?, "")
    });
    c.case("an empty canister is not upgraded", |w| async move {
        rejects(&w.empty().await?.upgrade(Script::new()).await?, 5, "no code")
    });
    for (name, hook) in [
        ("a trap in pre_upgrade", trap("before")),
        ("a call in pre_upgrade", Call::to(myself()).send()),
        ("reading the argument in pre_upgrade", forget(argument())),
        ("a reply in pre_upgrade", reply("x")),
    ] {
        c.case(format!("{name}: nothing has changed"), move |w| async move {
            let a = w.canister_that(keep("old") + ignore(stable_grow(1)) + stable_write(0, "old")).await?;
            let version = a.status().await?.version;
            a.get(on(op::PRE_UPGRADE, stable_write(0, "new") + hook) + reply("")).await?;
            rejects(&a.upgrade(keep("new")).await?, 5, "")?;
            same(a.look(reply(kept())).await?, "old")?;
            same(a.look(reply(stable_read(0, 3))).await?, "old")?;
            ensure!(a.status().await?.version == version + 1, "expected that only the update counted");
            Ok(())
        });
    }
    for (name, script) in [
        ("a trap in post_upgrade", trap("after")),
        ("a call in post_upgrade", Call::to(myself()).send()),
        ("a reply in post_upgrade", reply("x")),
    ] {
        c.case(format!("{name}: nothing has changed"), move |w| async move {
            let a = w.canister_that(keep("old") + ignore(stable_grow(1)) + stable_write(0, "old")).await?;
            rejects(&a.upgrade(stable_write(0, "new") + script).await?, 5, "")?;
            same(a.look(reply(kept())).await?, "old")?;
            same(a.look(reply(stable_read(0, 3))).await?, "old")
        });
    }
    c.case("skip_pre_upgrade leaves pre_upgrade out", |w| async move {
        let a = w.canister().await?;
        a.get(on(op::PRE_UPGRADE, trap("before")) + reply("")).await?;
        let flags = UpgradeFlags { skip_pre_upgrade: Some(true), wasm_memory_persistence: None };
        let mode = CanisterInstallMode::Upgrade(Some(flags));
        manage::done(a.deploy(mode, &w.plain, keep("upgraded")).await?)?;
        same(a.look(reply(kept())).await?, "upgraded")
    });
    c.case("keeping the heap needs a module that is made for it", |w| async move {
        let a = w.canister().await?;
        rejects(&a.deploy(persistence(WasmMemoryPersistence::Keep), &w.plain, Script::new()).await?, 5, "")?;
        manage::done(a.deploy(persistence(WasmMemoryPersistence::Replace), &w.plain, keep("new")).await?)?;
        same(a.look(reply(kept())).await?, "new")
    });
    c.case("a module made for it keeps the heap, and is not upgraded without saying so", |w| async move {
        let module = Module::scripted(32, &[])?.with_section(b"icp:private enhanced-orthogonal-persistence", b"");
        let module = module.wasm();
        let a = w.with_module(&module, keep("heap")).await?;
        rejects(&a.deploy(CanisterInstallMode::Upgrade(None), &module, Script::new()).await?, 4, "persistence")
            .or_else(|_| Ok::<(), anyhow::Error>(()))?;
        manage::done(a.deploy(persistence(WasmMemoryPersistence::Keep), &module, Script::new()).await?)?;
        same(a.look(reply(load(0, 1))).await?, [0])?;
        manage::done(a.deploy(persistence(WasmMemoryPersistence::Replace), &module, Script::new()).await?)?;
        same(a.look(reply(kept())).await?, "")
    });
    c.case("calls that were open are answered by the new code's functions", |w| async move {
        let (a, slow) = (w.canister().await?, w.canister().await?);
        let wait = super::calls::wait_for_word();
        let call = Call::to(slow.id).argument(wait).on_reply(reply("callback")).send();
        let asked = a.update(keep("open") + call);
        let upgraded = async {
            mains_conformance::world::until("the call is open", async || Ok(a.look(reply(kept())).await? == b"open"))
                .await?;
            manage::done(a.upgrade(keep("upgraded")).await?)?;
            slow.get(keep("") + reply("")).await
        };
        let (asked, upgraded) = futures::future::join(asked, upgraded).await;
        upgraded?;
        // The heap with the callback's script is gone: the new code does not know it and traps.
        rejects(&asked?, 5, "no such callback")?;
        same(a.look(reply(kept())).await?, "upgraded")
    });
}

fn chunks(c: &mut Cases) {
    c.group("chunk store");
    c.case("chunks are stored under their SHA-256, once", |w| async move {
        let a = w.empty().await?;
        let hash = upload(&a, b"chunk").await?;
        ensure!(hash == Sha256::digest(b"chunk").to_vec(), "expected the SHA-256");
        upload(&a, b"chunk").await?;
        upload(&a, b"other").await?;
        ensure!(stored(&a).await?.len() == 2, "expected two chunks");
        manage::done(a.managed("clear_chunk_store").await?)?;
        ensure!(stored(&a).await?.is_empty(), "expected none");
        Ok(())
    });
    c.case("a chunk of 1 MiB is stored, and one byte more is refused", |w| async move {
        let a = w.empty().await?;
        upload(&a, &vec![1; 1 << 20]).await?;
        let chunk = UploadChunkArgs { canister_id: a.id, chunk: vec![1; (1 << 20) + 1] };
        rejects(&a.manage("upload_chunk", &chunk).await?, 4, "at most")
    });
    c.case("a module in chunks is installed", |w| async move {
        let a = w.empty().await?;
        let hashes = upload_all(&a, &w.plain).await?;
        manage::done(install_chunks(&a, &a, None, hashes, &w.plain, keep("chunked")).await?)?;
        same(a.look(reply(kept())).await?, "chunked")?;
        let hash = Sha256::digest(&w.plain).to_vec();
        ensure!(a.status().await?.module_hash == Some(hash), "expected the hash of the whole module");
        Ok(())
    });
    c.case("a module in chunks upgrades and reinstalls", |w| async move {
        let a = w.canister_that(ignore(stable_grow(1)) + stable_write(0, "kept")).await?;
        let hashes = upload_all(&a, &w.plain).await?;
        let mode = CanisterInstallMode::Upgrade(None);
        manage::done(install_chunked(&a, a.id, None, mode, hashes.clone(), &w.plain, keep(stable_read(0, 4))).await?)?;
        same(a.look(reply(kept())).await?, "kept")?;
        let mode = CanisterInstallMode::Reinstall;
        manage::done(install_chunked(&a, a.id, None, mode, hashes, &w.plain, Script::new()).await?)?;
        same(a.look(reply(kept())).await?, "")
    });
    c.case("a wrong hash, a missing chunk, chunks in another order are refused", |w| async move {
        let a = w.empty().await?;
        let hashes = upload_all(&a, &w.plain).await?;
        rejects(&install_chunks(&a, &a, None, hashes.clone(), b"other", Script::new()).await?, 4, "hash")?;
        let reversed: Vec<_> = hashes.iter().rev().cloned().collect();
        rejects(&install_chunks(&a, &a, None, reversed, &w.plain, Script::new()).await?, 4, "hash")?;
        let missing = [hashes, vec![ChunkHash { hash: vec![7; 32] }]].concat();
        rejects(&install_chunks(&a, &a, None, missing, &w.plain, Script::new()).await?, 4, "chunk")
    });
    c.case("chunks of another canister serve its controllers", |w| async move {
        let (store, a) = (w.empty().await?, w.empty().await?);
        let hashes = upload_all(&store, &w.plain).await?;
        manage::done(install_chunks(&a, &a, Some(store.id), hashes, &w.plain, keep("from there")).await?)?;
        same(a.look(reply(kept())).await?, "from there")
    });
    c.case("chunks of another canister do not serve strangers", |w| async move {
        let store = w.empty().await?;
        let hashes = upload_all(&store, &w.plain).await?;
        let a = w.create(Some(28), mains_conformance::world::CYCLES, controllers(vec![principal(28)])).await?;
        rejects(&install_chunks(&a, &a, Some(store.id), hashes, &w.plain, Script::new()).await?, 5, "controllers")
    });
    c.case("a canister uses its own chunk store", |w| async move {
        let a = w.canister().await?;
        let chunk = UploadChunkArgs { canister_id: a.id, chunk: b"own".to_vec() };
        let call = Call::management("upload_chunk", Encode!(&chunk)?).send();
        let hash: ChunkHash = decode(&a.relayed(call).await?.reply()?)?;
        ensure!(hash.hash == Sha256::digest(b"own").to_vec(), "expected the SHA-256");
        a.relayed(Call::management("clear_chunk_store", a.record()).send()).await?.reply().map(drop)
    });
    c.case("chunks stay through installs and upgrades", |w| async move {
        let a = w.canister().await?;
        upload(&a, b"chunk").await?;
        manage::done(a.upgrade(Script::new()).await?)?;
        manage::done(a.reinstall(Script::new()).await?)?;
        ensure!(stored(&a).await?.len() == 1, "expected one chunk");
        replies(&a.update(reply("")).await?, "")
    });
}

async fn upload(a: &Canister, chunk: &[u8]) -> Result<Vec<u8>> {
    let args = UploadChunkArgs { canister_id: a.id, chunk: chunk.to_vec() };
    Ok(decode::<ChunkHash>(&manage::done(a.manage("upload_chunk", &args).await?)?)?.hash)
}

/// In two parts.
async fn upload_all(a: &Canister, module: &[u8]) -> Result<Vec<ChunkHash>> {
    let (one, two) = module.split_at(module.len() / 2);
    Ok(vec![ChunkHash { hash: upload(a, one).await? }, ChunkHash { hash: upload(a, two).await? }])
}

async fn stored(a: &Canister) -> Result<Vec<ChunkHash>> {
    decode(&manage::done(a.managed("stored_chunks").await?)?)
}

async fn install_chunks(
    by: &Canister,
    target: &Canister,
    store: Option<Principal>,
    hashes: Vec<ChunkHash>,
    module: &[u8],
    init: Script,
) -> Result<Ended> {
    install_chunked(by, target.id, store, CanisterInstallMode::Install, hashes, module, init).await
}

async fn install_chunked(
    by: &Canister,
    target: Principal,
    store: Option<Principal>,
    mode: CanisterInstallMode,
    hashes: Vec<ChunkHash>,
    module: &[u8],
    argument: Script,
) -> Result<Ended> {
    let args = InstallChunkedCodeArgs {
        mode,
        target_canister: target,
        store_canister: store,
        chunk_hashes_list: hashes,
        wasm_module_hash: Sha256::digest(module).to_vec(),
        arg: argument.bytes(),
        sender_canister_version: None,
    };
    by.manage("install_chunked_code", &args).await
}

fn persistence(how: WasmMemoryPersistence) -> CanisterInstallMode {
    CanisterInstallMode::Upgrade(Some(UpgradeFlags { skip_pre_upgrade: None, wasm_memory_persistence: Some(how) }))
}

/// A gzip file with one stored block for every 64 KiB: no library is needed to make one.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut file = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let mut parts = bytes.chunks(65_535).peekable();
    while let Some(part) = parts.next() {
        let length = part.len() as u16;
        file.push(u8::from(parts.peek().is_none()));
        file.extend(length.to_le_bytes());
        file.extend((!length).to_le_bytes());
        file.extend_from_slice(part);
    }
    let crc = !bytes
        .iter()
        .fold(!0u32, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 * (crc & 1))));
    file.extend(crc.to_le_bytes());
    file.extend((bytes.len() as u32).to_le_bytes());
    file
}
