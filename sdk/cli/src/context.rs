//! What a command works with: a network, an identity, names.

use crate::{
    args::{Output, Shared},
    home::{ANONYMOUS, Home},
    terminal,
};
use anyhow::{Context as _, Result, anyhow, bail};
use mains_client::{
    Client,
    identity::{self, Identity},
    report::NodeReport,
};
use mains_local::{LocalError, Testnet};
use mains_types::{CanisterId, Cycles, Principal, UnixNanos};
use std::{path::PathBuf, sync::Arc};

/// Cycles that an empty account of a test network is given at a time.
const TEST_FUNDS: Cycles = Cycles(1_000_000_000_000_000);

/// The publisher that `text` names.
pub(crate) fn publisher(text: &str) -> Result<Principal> {
    Principal::from_text(text).ok().with_context(|| {
        format!("`{text}` names no publisher: write its principal, as `mains identity list` and `mains module verify` show it")
    })
}

/// What a command works with.
pub(crate) struct Context {
    /// What was asked for on the command line.
    pub(crate) shared: Shared,
    /// The user's directory.
    pub(crate) home: Home,
}

impl Context {
    /// The context of a command.
    pub(crate) fn new(shared: Shared) -> Result<Self> {
        Ok(Self { shared, home: Home::find()? })
    }

    /// Whether JSON was asked for.
    pub(crate) fn is_json(&self) -> bool {
        self.shared.output == Output::Json
    }

    /// Prints a remark unless only results were asked for.
    pub(crate) fn note(&self, text: impl std::fmt::Display) {
        if !self.shared.quiet && self.shared.output == Output::Text {
            terminal::note(text);
        }
    }

    /// Who signs.
    pub(crate) fn identity(&self) -> Result<Arc<dyn Identity>> {
        let name = self.shared.identity.clone().unwrap_or_else(|| self.home.identity());
        if name == ANONYMOUS {
            return Ok(identity::anonymous());
        }
        Ok(identity::from_seed(&self.home.seed(&name)?))
    }

    /// A connection to the chosen network.
    pub(crate) async fn connect(&self) -> Result<Client> {
        let url = self.url().await?;
        let client = Client::connect(&url, self.identity()?).await?;
        // A replica that is behind what an earlier command showed is not asked in its stead.
        client.has_seen(UnixNanos(self.home.seen(client.root_key())));
        Ok(client)
    }

    /// Remembers for later commands what `client` has seen.
    pub(crate) fn remember(&self, client: &Client) {
        self.home.set_seen(client.root_key(), client.seen().get());
    }

    /// URL of a node of the chosen network: of a test network, the first replica that serves clients.
    async fn url(&self) -> Result<String> {
        let network = &self.shared.network;
        if network.starts_with("http://") || network.starts_with("https://") {
            return Ok(network.clone());
        }
        if network != "local" {
            bail!("`{network}` is no network: write `local` or a node's URL, such as http://127.0.0.1:4950");
        }
        let testnet = Testnet::open(&self.home.local(), &binary()?).map_err(|error| match error {
            LocalError::Missing { path } => anyhow!(
                "there is no test network in {}: start one with `mains testnet up --detach`, or name a node with --network URL",
                path.display()
            ),
            error => error.into(),
        })?;
        // Most often the first replica serves: then nobody waits for the others' reports.
        if let Some(replica) = testnet.first_healthy().await {
            return Ok(replica.api);
        }
        let replicas = testnet.status().await;
        if let Some(replica) = replicas.iter().find(|replica| replica.is_healthy()) {
            return Ok(replica.api.clone());
        }
        let dir = testnet.dir().display();
        let Some(alive) = replicas.iter().find(|replica| replica.pid.is_some()) else {
            bail!("the test network in {dir} is stopped: start it with `mains testnet up --dir {dir} --detach`")
        };
        if replicas.iter().any(|replica| replica.is_slow) {
            self.note(format_args!("the replicas of the test network in {dir} run, but are slow to answer: waiting"));
        }
        Ok(alive.api.clone())
    }

    /// The canister that `name` stands for.
    pub(crate) fn canister(&self, client: &Client, name: &str) -> Result<CanisterId> {
        if let Some(id) = self.home.names(client.root_key())?.get(name) {
            return Principal::from_text(id)
                .with_context(|| format!("the name `{name}` stands for `{id}`, which is no id"));
        }
        Principal::from_text(name).map_err(|_| {
            anyhow!(
                "there is no canister `{name}` here: deploy it with `mains deploy FILE --name {name}`, or give its id"
            )
        })
    }

    /// Sees that the identity can pay `amount`; on a test network, fills its account.
    pub(crate) async fn fund(&self, client: &Client, amount: Cycles) -> Result<()> {
        let principal = client.principal()?;
        if client.balance(principal).await? >= amount {
            return Ok(());
        }
        let faucet = Client::trusting(client.url(), identity::anonymous(), client.root_key())?;
        faucet
            .transfer(principal, Cycles(TEST_FUNDS.get().max(amount.get())))
            .await
            .with_context(|| format!("{principal} cannot pay {} cycles: send it some", terminal::group(amount)))?;
        self.note(format_args!("filled the account of {principal} with test cycles"));
        Ok(())
    }
}

/// The running binary: replicas are started from it too.
pub(crate) fn binary() -> Result<PathBuf> {
    std::env::current_exe().context("the path of this program is unknown")
}

/// How a node's network proves things: `certified (3-of-4 threshold) at height 7`.
pub(crate) fn certified(report: &NodeReport, height: impl std::fmt::Display) -> String {
    format!("certified ({}-of-{} threshold) at height {height}", report.threshold, report.members.len())
}
