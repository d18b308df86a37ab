//! What goes wrong with nodes in practice, looked at before or while one runs: each finding says what to do.
//!
//! Nothing is changed but a small file that is written and removed again to see that the disk takes it.

mod host;

use crate::{
    config::{Config, NodeConfig},
    error::OperatorError,
    files::{NodeDir, RunFile},
    init,
};
use libp2p::{Multiaddr, multiaddr::Protocol};
use mains_state::Genesis;
use serde::Serialize;
use std::{
    net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::unix::fs::PermissionsExt,
    path::Path,
    time::Duration,
};

/// How long a peer may take to accept a connection.
const REACH: Duration = Duration::from_secs(3);

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// As it should be.
    Good,
    /// It works, but not well or not for long.
    Warning,
    /// The node cannot do its work.
    Bad,
}

/// What was looked at and what was seen.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// What was looked at, for example `clock`.
    pub subject: &'static str,
    /// How it is.
    pub severity: Severity,
    /// What was seen.
    pub seen: String,
    /// What to do; empty if nothing.
    pub fix: String,
}

impl Finding {
    /// As it should be.
    pub fn good(subject: &'static str, seen: impl Into<String>) -> Self {
        Self { subject, severity: Severity::Good, seen: seen.into(), fix: String::new() }
    }

    /// It works, but not well or not for long.
    pub fn warning(subject: &'static str, seen: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { subject, severity: Severity::Warning, seen: seen.into(), fix: fix.into() }
    }

    /// The node cannot do its work.
    pub fn bad(subject: &'static str, seen: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { subject, severity: Severity::Bad, seen: seen.into(), fix: fix.into() }
    }

    /// What an error says: its text has what was seen, then a colon or full stop, then what to do.
    fn of(subject: &'static str, error: &OperatorError) -> Self {
        let text = error.to_string();
        Self::bad(subject, text, "as said")
    }
}

/// The process that serves the directory, if one does.
pub fn running(dir: &NodeDir) -> Option<RunFile> {
    let run: RunFile = serde_json::from_slice(&std::fs::read(dir.run_file()).ok()?).ok()?;
    let pid = rustix::process::Pid::from_raw(i32::try_from(run.pid).ok()?)?;
    let is_alive = !matches!(rustix::process::test_kill_process(pid), Err(rustix::io::Errno::SRCH));
    // Only its own process holds the lock; an id alone may have been given to another one.
    (is_alive && is_locked(&dir.root().join("data").join("LOCK"))).then_some(run)
}

fn is_locked(path: &Path) -> bool {
    let Ok(file) = std::fs::File::open(path) else { return false };
    matches!(file.try_lock(), Err(std::fs::TryLockError::WouldBlock))
}

/// Looks at everything that can be seen from this machine.
pub fn examine(dir: &Path) -> Vec<Finding> {
    let dir = NodeDir::new(dir);
    let mut findings = Vec::new();
    let config = match Config::read(&dir.config()) {
        Ok(config) => {
            findings.push(Finding::good("config", format!("{} holds", dir.config().display())));
            Some(config)
        }
        Err(error) => {
            findings.push(Finding::of("config", &error));
            None
        }
    };
    let genesis = match dir.read_genesis() {
        Ok((genesis, digest)) => {
            let nodes = genesis.nodes.len();
            findings.push(Finding::good("genesis", format!("network {}, {nodes} nodes", genesis.network)));
            Some((genesis, digest))
        }
        Err(error) => {
            findings.push(Finding::of("genesis", &error));
            None
        }
    };
    findings.push(keys(&dir, config.as_ref(), genesis.as_ref().map(|(genesis, _)| genesis)));
    let running = running(&dir);
    findings.extend(data(&dir, genesis.as_ref().map(|(_, digest)| digest)));
    findings.extend(host::disk(dir.root()));
    findings.push(host::clock());
    findings.extend(host::resources());
    if let Some(config) = &config {
        findings.extend(ports(config, running.is_some()));
        findings.extend(peers(config, genesis.as_ref().map_or(0, |(genesis, _)| genesis.nodes.len())));
    }
    findings
}

fn keys(dir: &NodeDir, config: Option<&NodeConfig>, genesis: Option<&Genesis>) -> Finding {
    let keys = match dir.read_keys(config.and_then(|config| config.passphrase_file.as_deref())) {
        Ok(keys) => keys,
        Err(error) => return Finding::of("keys", &error),
    };
    let Some(genesis) = genesis else {
        return Finding::warning("keys", "readable, but there is no genesis file to compare them with", "see genesis");
    };
    match init::check_share(genesis, &keys.node, &keys.chain_share) {
        Ok(()) => Finding::good("keys", format!("node {}, private, its share fits", keys.node.node_id())),
        Err(reason) => Finding::bad(
            "keys",
            format!("keys and genesis file do not belong together: {reason}"),
            "put the files of one network back together: `mains node init --join INVITATION`, or restore them",
        ),
    }
}

fn data(dir: &NodeDir, genesis: Option<&[u8; 32]>) -> Vec<Finding> {
    let path = dir.root().join("data");
    let Ok(metadata) = std::fs::metadata(&path) else {
        return vec![Finding::good("data", "none yet: the first start makes it")];
    };
    let mut findings = Vec::new();
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        let seen = format!("{} is open to others (mode {mode:o})", path.display());
        findings.push(Finding::warning("data", seen, format!("chmod 700 {}", path.display())));
    }
    let says = |name: &str| std::fs::read_to_string(path.join(name)).unwrap_or_default().trim().to_owned();
    let (version, of) = (says("VERSION"), says("genesis.digest"));
    if version != mains_store::DATA_VERSION.to_string() {
        findings.push(Finding::bad(
            "data",
            format!("has format {version:?}, this release reads {}", mains_store::DATA_VERSION),
            "run the release that wrote it, or move `data` away to fetch everything again",
        ));
    }
    if genesis.is_some_and(|digest| hex::encode(digest) != of) {
        findings.push(Finding::bad(
            "data",
            "belongs to another network's genesis file",
            "put that genesis file back, or move `data` away",
        ));
    }
    if findings.is_empty() {
        findings.push(Finding::good("data", "private, of this release and network"));
    }
    findings
}

/// Whether the node can listen where it should, or does.
fn ports(config: &NodeConfig, is_running: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    let tcp = std::iter::once(config.api).chain(config.listen.iter().filter_map(|address| socket(address, false)));
    let udp = config.listen.iter().filter_map(|address| socket(address, true));
    let taken = tcp
        .map(|address| ("TCP", address, TcpListener::bind(address).map(drop)))
        .chain(udp.map(|address| ("UDP", address, UdpSocket::bind(address).map(drop))));
    for (kind, address, bound) in taken.collect::<Vec<_>>() {
        let in_use = matches!(&bound, Err(error) if error.kind() == std::io::ErrorKind::AddrInUse);
        findings.push(match bound {
            _ if address.port() == 0 => continue,
            Ok(()) if is_running => Finding::bad(
                "ports",
                format!("the node runs, but nobody listens on {address} ({kind})"),
                "start it again, and see its log",
            ),
            Ok(()) => Finding::good("ports", format!("{address} ({kind}) is free")),
            Err(_) if in_use && is_running => Finding::good("ports", format!("{address} ({kind}) is served")),
            Err(error) => Finding::bad(
                "ports",
                format!("cannot listen on {address} ({kind}): {error}"),
                "stop what uses it (`ss -lptun`), or set another address in node.toml (api, listen)",
            ),
        });
    }
    findings
}

/// Whether the other nodes' addresses take connections. QUIC addresses are not tried.
fn peers(config: &NodeConfig, members: usize) -> Vec<Finding> {
    if members == 1 {
        return Vec::new();
    }
    let addresses: Vec<SocketAddr> = config.bootstrap.iter().filter_map(|address| socket(address, false)).collect();
    if addresses.is_empty() {
        let fix = "add `bootstrap` addresses to node.toml, as other operators tell them";
        return vec![match (config.mdns, config.bootstrap.is_empty()) {
            (true, true) => Finding::warning("peers", "found by multicast in the local network only", fix),
            (false, true) => Finding::bad("peers", "no address of any other node is known", fix),
            _ => Finding::good("peers", "by names or QUIC: not tried from here"),
        }];
    }
    let silent: Vec<String> = addresses
        .iter()
        .filter(|address| TcpStream::connect_timeout(address, REACH).is_err())
        .map(SocketAddr::to_string)
        .collect();
    let reached = addresses.len() - silent.len();
    let seen = format!("{reached} of {} bootstrap addresses answer", addresses.len());
    let fix = format!("see that these nodes run and that firewalls let TCP through: {}", silent.join(", "));
    vec![match (reached, silent.is_empty()) {
        (_, true) => Finding::good("peers", seen),
        (0, _) => Finding::bad("peers", seen, fix),
        _ => Finding::warning("peers", seen, fix),
    }]
}

/// The socket address in a multiaddr of an IP address.
fn socket(address: &Multiaddr, is_udp: bool) -> Option<SocketAddr> {
    let mut parts = address.iter();
    let ip: IpAddr = match parts.next()? {
        Protocol::Ip4(ip) => ip.into(),
        Protocol::Ip6(ip) => ip.into(),
        _ => return None,
    };
    match parts.next()? {
        Protocol::Tcp(port) if !is_udp => Some((ip, port).into()),
        Protocol::Udp(port) if is_udp => Some((ip, port).into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
