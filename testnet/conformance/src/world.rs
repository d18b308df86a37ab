//! What a case of the suite sees: one network that all cases share, and canisters of its own.

use crate::{
    Network,
    answer::Ended,
    manage,
    module::Module,
    script::{Relayed, Script},
};
use anyhow::{Context as _, Result, anyhow, ensure};
use candid::{CandidType, Decode, Encode, Principal};
use ic_management_canister_types::{
    CanisterIdRecord, CanisterInstallMode, CanisterSettings, CanisterStatusResult, InstallCodeArgs,
    ProvisionalCreateCanisterWithCyclesArgs, UpdateSettingsArgs,
};
use mains_client::{Client, identity};
use mains_types::{CanisterId, ids};
use serde::de::DeserializeOwned;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Cycles of a case's canister unless it wants others.
pub const CYCLES: u128 = 100_000_000_000_000;
/// How long a case waits for something to become true.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often it looks.
const LOOK: Duration = Duration::from_millis(150);

/// The network with the modules that cases install.
pub struct World {
    /// The network.
    pub network: Arc<Network>,
    /// The scripted canister without hooks that run by themselves.
    pub plain: Vec<u8>,
    /// The replica that a case asks: another one might not have executed yet what this one has certified.
    replica: usize,
}

/// A case's canister, seen through one replica by its controller (unless a case chose another sender).
#[derive(Clone)]
pub struct Canister {
    world: Arc<World>,
    /// Who asks.
    pub client: Client,
    /// Its replica.
    pub replica: usize,
    /// Its id.
    pub id: CanisterId,
}

impl World {
    /// A world on a network.
    ///
    /// # Errors
    /// The scripted canister is not there.
    pub fn new(network: Network) -> Result<Arc<Self>> {
        let plain = Module::scripted(32, &["canister_global_timer"])?.wasm();
        Ok(Arc::new(Self { network: Arc::new(network), plain, replica: 0 }))
    }

    /// The same world seen through one of the replicas; the number may be any.
    #[must_use]
    pub fn seen_from(&self, number: usize) -> Arc<Self> {
        let replica = number % crate::network::REPLICAS;
        Arc::new(Self { network: self.network.clone(), plain: self.plain.clone(), replica })
    }

    fn client(&self, seed: Option<u8>) -> Result<Client> {
        let identity = seed.map_or_else(identity::anonymous, |seed| identity::from_seed(&[seed; 32]));
        self.network.client_as(self.replica, identity)
    }

    /// A canister without code, made by the anonymous principal.
    ///
    /// # Errors
    /// It was not created.
    pub async fn empty(self: &Arc<Self>) -> Result<Canister> {
        self.create(None, CYCLES, CanisterSettings::default()).await
    }

    /// A canister without code, made by this key's owner (or anonymously), with these cycles and settings.
    ///
    /// # Errors
    /// It was not created.
    pub async fn create(
        self: &Arc<Self>,
        seed: Option<u8>,
        cycles: u128,
        settings: CanisterSettings,
    ) -> Result<Canister> {
        let client = self.client(seed)?;
        let args = ProvisionalCreateCanisterWithCyclesArgs {
            amount: Some(cycles.into()),
            settings: Some(settings),
            ..Default::default()
        };
        let anywhere = ids::canister_id(ids::FIRST_CANISTER_INDEX);
        let method = "provisional_create_canister_with_cycles";
        let reply = manage::done(manage::manage(&client, anywhere, method, &args).await?)?;
        let id = Decode!(&reply, CanisterIdRecord)?.canister_id;
        Ok(Canister { world: self.clone(), client, replica: self.replica, id })
    }

    /// A scripted canister.
    ///
    /// # Errors
    /// It was not created or not installed.
    pub async fn canister(self: &Arc<Self>) -> Result<Canister> {
        self.canister_that(Script::new()).await
    }

    /// A scripted canister that does something when it is installed.
    ///
    /// # Errors
    /// It was not created or not installed.
    pub async fn canister_that(self: &Arc<Self>, init: Script) -> Result<Canister> {
        let canister = self.empty().await?;
        manage::done(canister.install(init).await?)?;
        Ok(canister)
    }

    /// A canister with this module.
    ///
    /// # Errors
    /// It was not created or not installed.
    pub async fn with_module(self: &Arc<Self>, module: &[u8], init: Script) -> Result<Canister> {
        let canister = self.empty().await?;
        manage::done(canister.deploy(CanisterInstallMode::Install, module, init).await?)?;
        Ok(canister)
    }

    /// A scripted canister with hooks that run by themselves.
    ///
    /// # Errors
    /// It was not created or not installed.
    pub async fn with_hooks(self: &Arc<Self>, hooks: &[&str], init: Script) -> Result<Canister> {
        self.with_module(&Module::scripted(32, hooks)?.wasm(), init).await
    }
}

impl Canister {
    /// The world.
    pub fn world(&self) -> &Arc<World> {
        &self.world
    }

    /// The same canister seen by this key's owner.
    ///
    /// # Errors
    /// The HTTP client cannot be made.
    pub fn seen_by(&self, seed: u8) -> Result<Self> {
        Ok(Self { client: self.world.client(Some(seed))?, ..self.clone() })
    }

    /// Another canister seen by the same client.
    pub fn at(&self, id: CanisterId) -> Self {
        Self { id, ..self.clone() }
    }

    /// Runs a script as an update.
    ///
    /// # Errors
    /// The call did not end.
    pub async fn update(&self, script: Script) -> Result<Ended> {
        self.call("update", script.bytes()).await
    }

    /// Calls a method as an update.
    ///
    /// # Errors
    /// The call did not end.
    pub async fn call(&self, method: &str, argument: Vec<u8>) -> Result<Ended> {
        manage::ended(self.client.call(self.id, method, argument).await)
    }

    /// Runs a script in the query method, called as an update.
    ///
    /// # Errors
    /// The call did not end.
    pub async fn replicated_query(&self, script: Script) -> Result<Ended> {
        self.call("query", script.bytes()).await
    }

    /// Runs a script as a query.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn query(&self, script: Script) -> Result<Ended> {
        self.ask("query", script.bytes()).await
    }

    /// Runs a script as a composite query.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn composite(&self, script: Script) -> Result<Ended> {
        self.ask("composite", script.bytes()).await
    }

    /// Asks a method by query. The node's signature is verified.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn ask(&self, method: &str, argument: Vec<u8>) -> Result<Ended> {
        asked(self.client.query(self.id, method, argument).await)
    }

    /// Runs a script as an update that must reply, and gives the reply.
    ///
    /// # Errors
    /// It did not reply.
    pub async fn get(&self, script: Script) -> Result<Vec<u8>> {
        manage::done(self.update(script).await?)
    }

    /// The same for a query.
    ///
    /// # Errors
    /// It did not reply.
    pub async fn look(&self, script: Script) -> Result<Vec<u8>> {
        manage::done(self.query(script).await?)
    }

    /// What became of the call that an update made.
    ///
    /// # Errors
    /// The update did not tell it on.
    pub async fn relayed(&self, script: Script) -> Result<Relayed> {
        Relayed::read(&self.get(script).await?)
    }

    /// Installs the scripted canister.
    ///
    /// # Errors
    /// The call did not end.
    pub async fn install(&self, init: Script) -> Result<Ended> {
        let module = self.world.plain.clone();
        self.deploy(CanisterInstallMode::Install, &module, init).await
    }

    /// Upgrades to the same module.
    ///
    /// # Errors
    /// The call did not end.
    pub async fn upgrade(&self, post_upgrade: Script) -> Result<Ended> {
        let module = self.world.plain.clone();
        self.deploy(CanisterInstallMode::Upgrade(None), &module, post_upgrade).await
    }

    /// Reinstalls the same module.
    ///
    /// # Errors
    /// The call did not end.
    pub async fn reinstall(&self, init: Script) -> Result<Ended> {
        let module = self.world.plain.clone();
        self.deploy(CanisterInstallMode::Reinstall, &module, init).await
    }

    /// Installs a module.
    ///
    /// # Errors
    /// The call did not end.
    pub async fn deploy(&self, mode: CanisterInstallMode, module: &[u8], script: Script) -> Result<Ended> {
        let args = InstallCodeArgs {
            mode,
            canister_id: self.id,
            wasm_module: module.to_vec(),
            arg: script.bytes(),
            sender_canister_version: None,
        };
        self.manage("install_code", &args).await
    }

    /// Calls a method of the management canister about this canister.
    ///
    /// # Errors
    /// The call did not end.
    pub async fn manage<T: CandidType>(&self, method: &str, argument: &T) -> Result<Ended> {
        manage::manage(&self.client, self.id, method, argument).await
    }

    /// The same with the canister's id as the argument.
    ///
    /// # Errors
    /// The call did not end.
    pub async fn managed(&self, method: &str) -> Result<Ended> {
        self.manage(method, &CanisterIdRecord { canister_id: self.id }).await
    }

    /// Asks a method of the management canister about this canister by query.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn ask_management<T: CandidType>(&self, method: &str, argument: &T) -> Result<Ended> {
        let management = Principal::management_canister();
        asked(self.client.query_for(self.id, management, method, Encode!(argument)?).await)
    }

    /// Changes settings.
    ///
    /// # Errors
    /// The call did not end.
    pub async fn set(&self, settings: CanisterSettings) -> Result<Ended> {
        let args = UpdateSettingsArgs { canister_id: self.id, settings, sender_canister_version: None };
        self.manage("update_settings", &args).await
    }

    /// The status.
    ///
    /// # Errors
    /// It was not told.
    pub async fn status(&self) -> Result<CanisterStatusResult> {
        let reply = manage::done(self.managed("canister_status").await?)?;
        Ok(Decode!(&reply, CanisterStatusResult)?)
    }

    /// The argument by which management methods name this canister.
    pub fn record(&self) -> Vec<u8> {
        Encode!(&CanisterIdRecord { canister_id: self.id }).expect("an id encodes")
    }
}

fn asked(answer: Result<Vec<u8>, mains_client::ClientError>) -> Result<Ended> {
    match answer {
        Ok(reply) => Ok(Ok(reply)),
        Err(mains_client::ClientError::Rejected(rejection)) => Ok(Err(rejection)),
        Err(error) => Err(error.into()),
    }
}

/// Sees that a call was answered with these bytes.
///
/// # Errors
/// It was not.
pub fn replies(ended: &Ended, expected: impl AsRef<[u8]>) -> Result<()> {
    let expected = expected.as_ref();
    match ended {
        Ok(reply) => same(reply.as_slice(), expected),
        Err(rejection) => {
            Err(anyhow!("expected reply {}, got reject {}: {rejection}", shown(expected), rejection.code))
        }
    }
}

/// Sees that two values are the same.
///
/// # Errors
/// They are not.
pub fn same(got: impl AsRef<[u8]>, expected: impl AsRef<[u8]>) -> Result<()> {
    let (got, expected) = (got.as_ref(), expected.as_ref());
    ensure!(got == expected, "expected {}, got {}", shown(expected), shown(got));
    Ok(())
}

/// Sees that a call was rejected with this reject code and, somewhere in its message, this text.
///
/// # Errors
/// It was not.
pub fn rejects(ended: &Ended, code: u64, text: &str) -> Result<()> {
    match ended {
        Ok(reply) => Err(anyhow!("expected reject code {code}, got reply {}", shown(reply))),
        Err(rejection) => {
            ensure!(rejection.code == code, "expected reject code {code}, got {}: {rejection}", rejection.code);
            ensure!(rejection.message.contains(text), "expected {text:?} in the message, got {rejection}");
            Ok(())
        }
    }
}

/// Eight little-endian bytes as a number.
///
/// # Errors
/// There are not eight.
pub fn number(reply: &[u8]) -> Result<u64> {
    Ok(u64::from_le_bytes(reply.try_into().with_context(|| format!("eight bytes, not {}", shown(reply)))?))
}

/// Sixteen little-endian bytes as an amount.
///
/// # Errors
/// There are not sixteen.
pub fn amount(reply: &[u8]) -> Result<u128> {
    Ok(u128::from_le_bytes(reply.try_into().with_context(|| format!("sixteen bytes, not {}", shown(reply)))?))
}

/// Waits until something is true.
///
/// # Errors
/// It does not become true in time, or looking fails.
pub async fn until<F: Future<Output = Result<bool>>>(what: &str, mut look: impl FnMut() -> F) -> Result<()> {
    let began = Instant::now();
    while !look().await? {
        ensure!(began.elapsed() < PATIENCE, "not within {} s: {what}", PATIENCE.as_secs());
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

/// A candid reply.
///
/// # Errors
/// It does not decode.
pub fn decode<T: CandidType + DeserializeOwned>(reply: &[u8]) -> Result<T> {
    Ok(Decode!(reply, T)?)
}

fn shown(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.is_empty() && text.chars().all(|c| !c.is_control()) => {
            format!("{:?}", text.chars().take(300).collect::<String>())
        }
        _ => format!("0x{}", hex::encode(&bytes[..bytes.len().min(150)])),
    }
}
