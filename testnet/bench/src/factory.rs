//! A canister that makes canisters: thousands of them by a few calls, from a module in its chunk store.

use crate::subject::Subject;
use anyhow::{Context as _, Result, ensure};
use candid::{Decode, Encode, Nat};
use ic_management_canister_types as ic;
use mains_client::Client;
use mains_types::{CanisterId, Principal};

/// Bytes of a canister's id.
const ID_BYTES: usize = 10;
/// Stands in the arguments where the factory puts the id of the canister that it made.
const PLACEHOLDER: [u8; ID_BYTES] = [0xa5; ID_BYTES];
/// Canisters by one call, so that its outcome is there before anybody loses patience.
const BATCH: usize = 250;

/// `make` takes three little-endian u32 (how many; where in the arguments of `install_chunked_code` the id goes; length of the
/// arguments of creation), the arguments of creation, those of installing. It replies with the ids, one after another.
const FACTORY: &str = r#"(module
  (import "ic0" "msg_arg_data_size" (func $size (result i32)))
  (import "ic0" "msg_arg_data_copy" (func $copy (param i32 i32 i32)))
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "msg_reply" (func $reply))
  (import "ic0" "call_new" (func $call_new (param i32 i32 i32 i32 i32 i32 i32 i32)))
  (import "ic0" "call_data_append" (func $call_data (param i32 i32)))
  (import "ic0" "call_perform" (func $perform (result i32)))
  (memory 4)
  (table 3 funcref)
  (elem (i32.const 0) $created $installed $failed)
  (data (i32.const 512) "provisional_create_canister_with_cycles")
  (data (i32.const 640) "install_chunked_code")
  (global $left (mut i32) (i32.const 0))
  (global $made (mut i32) (i32.const 0))
  (global $install (mut i32) (i32.const 0))
  (global $install_bytes (mut i32) (i32.const 0))
  (func $next
    (if (i32.eqz (global.get $left))
      (then (call $append (i32.const 65536) (i32.mul (global.get $made) (i32.const 10))) (call $reply) (return)))
    (global.set $left (i32.sub (global.get $left) (i32.const 1)))
    (call $call_new (i32.const 0) (i32.const 0) (i32.const 512) (i32.const 39)
      (i32.const 0) (i32.const 0) (i32.const 2) (i32.const 0))
    (call $call_data (i32.const 1036) (i32.load (i32.const 1032)))
    (if (call $perform) (then unreachable)))
  (func $created (param i32)
    (local $id i32)
    (local.set $id (i32.add (i32.const 65536) (i32.mul (global.get $made) (i32.const 10))))
    (call $copy (local.get $id) (i32.sub (call $size) (i32.const 10)) (i32.const 10))
    (global.set $made (i32.add (global.get $made) (i32.const 1)))
    (memory.copy (i32.add (global.get $install) (i32.load (i32.const 1028))) (local.get $id) (i32.const 10))
    (call $call_new (i32.const 0) (i32.const 0) (i32.const 640) (i32.const 20)
      (i32.const 1) (i32.const 0) (i32.const 2) (i32.const 0))
    (call $call_data (global.get $install) (global.get $install_bytes))
    (if (call $perform) (then unreachable)))
  (func $installed (param i32) (call $next))
  (func $failed (param i32) unreachable)
  (func (export "canister_update make")
    (call $copy (i32.const 1024) (i32.const 0) (call $size))
    (global.set $left (i32.load (i32.const 1024)))
    (global.set $made (i32.const 0))
    (global.set $install (i32.add (i32.const 1036) (i32.load (i32.const 1032))))
    (global.set $install_bytes (i32.sub (i32.add (i32.const 1024) (call $size)) (global.get $install)))
    (call $next)))"#;

/// Makes canisters with a module.
pub(crate) struct Factory<'a> {
    client: &'a Client,
    canister: CanisterId,
    arguments: Vec<u8>,
}

impl<'a> Factory<'a> {
    /// A factory that makes canisters with `module`, of at most one chunk, each with so many cycles.
    ///
    /// # Errors
    /// The network refuses.
    pub(crate) async fn new(subject: &'a Subject, module: &[u8], cycles: u64) -> Result<Self> {
        let client = &subject.client;
        let canister = subject.install(&wat::parse_str(FACTORY)?).await?;
        let upload = Encode!(&ic::UploadChunkArgs { canister_id: canister, chunk: module.to_vec() })?;
        let management = Principal::management_canister();
        let chunk = client.call_for(canister, management, "upload_chunk", upload).await?.reply()?;
        let chunk = Decode!(&chunk, ic::ChunkHash)?;
        let create = Encode!(&ic::ProvisionalCreateCanisterWithCyclesArgs {
            amount: Some(Nat::from(cycles)),
            ..Default::default()
        })?;
        let install = Encode!(&ic::InstallChunkedCodeArgs {
            mode: ic::CanisterInstallMode::Install,
            target_canister: Principal::from_slice(&PLACEHOLDER),
            store_canister: Some(canister),
            // A module of one chunk has the chunk's hash.
            wasm_module_hash: chunk.hash.clone(),
            chunk_hashes_list: vec![chunk],
            arg: Encode!()?,
            sender_canister_version: None,
        })?;
        let place = install.windows(ID_BYTES).position(|bytes| bytes == PLACEHOLDER).context("a place for the id")?;
        let mut arguments = Vec::new();
        arguments.extend_from_slice(&(place as u32).to_le_bytes());
        arguments.extend_from_slice(&(create.len() as u32).to_le_bytes());
        arguments.extend_from_slice(&create);
        arguments.extend_from_slice(&install);
        Ok(Self { client, canister, arguments })
    }

    /// Makes so many.
    ///
    /// # Errors
    /// One could not be made.
    pub(crate) async fn make(&self, count: usize) -> Result<Vec<CanisterId>> {
        let mut made = Vec::with_capacity(count);
        while made.len() < count {
            let batch = BATCH.min(count - made.len());
            let argument = [&(batch as u32).to_le_bytes()[..], &self.arguments].concat();
            let ids = self.client.call(self.canister, "make", argument).await?.reply()?;
            ensure!(ids.len() == batch * ID_BYTES, "the factory made {} of {batch} canisters", ids.len() / ID_BYTES);
            made.extend(ids.chunks(ID_BYTES).map(Principal::from_slice));
            crate::progress(&format!("{} canisters", made.len()));
        }
        Ok(made)
    }
}
