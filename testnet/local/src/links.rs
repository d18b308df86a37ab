//! The cables of a test network: each replica in a network namespace of its own, with one cable to a switch. There are two
//! switches with nothing between them; clients are at the first. Who is plugged into the second is cut off from the others
//! and from clients, as a rack is whose uplink is gone: its connections stay, nothing comes through.
//!
//! Linux only, by the programs `unshare`, `nsenter` (util-linux) and `ip` (iproute2). Everything is made inside a network
//! namespace of the calling process ([`in_own_network`]) and is gone when that and the replicas are.

use crate::LocalError;
use mains_operator::Addresses;
use std::{
    collections::BTreeSet,
    ffi::OsString,
    net::{Ipv4Addr, SocketAddr},
    process::{Child, Command, Stdio},
};

/// Where most replicas and all clients are.
const MAINLAND: &str = "mainland";
/// Where those are that are cut off.
const ISLAND: &str = "island";
/// Port of every replica's API and port for the other replicas: each has an address of its own.
const PORTS: (u16, u16) = (4950, 4951);
/// What the calling process has on the first switch.
const CLIENTS: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 254);

/// The cables.
#[derive(Debug)]
pub struct Links {
    /// One process per replica that does nothing but keep its namespace; it ends with this one.
    holders: Vec<Child>,
}

/// A command that runs what is appended in a network namespace of its own where it may make cables, and that ends with this
/// system's own words if that is not allowed.
///
/// # Errors
/// Why there is no such thing here.
pub fn in_own_network() -> Result<Command, LocalError> {
    // An ordinary user may where user namespaces are allowed; elsewhere the system's administrator may.
    let ways: [&[&str]; 2] = [&["--user", "--map-root-user", "--net"], &["--net"]];
    let mut refused = None;
    for way in ways {
        let probe = ["ip", "link", "add", MAINLAND, "type", "bridge"];
        match run(Command::new("unshare").args(way).arg("--").args(probe)) {
            Ok(()) => {
                let mut command = Command::new("unshare");
                command.args(way).arg("--");
                return Ok(command);
            }
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    Err(refused.expect("two ways were tried"))
}

impl Links {
    /// Makes a cable for each of so many replicas, all plugged into the first switch. The calling process is in a network
    /// namespace of its own.
    ///
    /// # Errors
    /// A program is missing or the system refuses.
    pub fn new(replicas: usize) -> Result<Self, LocalError> {
        ip("link set lo up")?;
        for switch in [MAINLAND, ISLAND] {
            ip(&format!("link add {switch} type bridge"))?;
            ip(&format!("link set {switch} up"))?;
        }
        ip(&format!("address add {CLIENTS}/24 dev {MAINLAND}"))?;
        let mut links = Self { holders: Vec::new() };
        for index in 0..replicas {
            links.plug_in(index)?;
        }
        Ok(links)
    }

    fn plug_in(&mut self, index: usize) -> Result<(), LocalError> {
        // It has its namespace when it answers, and ends when this process does: then its input does.
        let holder = Command::new("unshare")
            .args(["--net", "--", "cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|source| LocalError::Spawn { binary: "unshare".into(), source })?;
        let pid = holder.id();
        self.holders.push(holder);
        answers(self.holders.last_mut().expect("just pushed"))?;
        ip(&format!("link add {} type veth peer name uplink netns {pid}", cable(index)))?;
        ip(&format!("link set {} master {MAINLAND} up", cable(index)))?;
        for inside in [
            format!("address add {}/24 dev uplink", address(index)),
            "link set uplink up".into(),
            "link set lo up".into(),
        ] {
            let [program, rest @ ..] = &self.enter(index)[..] else { continue };
            run(Command::new(program).args(rest).arg("ip").args(inside.split(' ')))?;
        }
        Ok(())
    }

    /// What stands before a command that shall run in a replica's namespace. The process stays the same.
    pub(crate) fn enter(&self, index: usize) -> Vec<OsString> {
        let pid = self.holders[index].id();
        vec!["nsenter".into(), format!("--net=/proc/{pid}/ns/net").into(), "--".into()]
    }

    /// Where the replicas listen.
    pub(crate) fn addresses(&self) -> Vec<Addresses> {
        let at = |index| Addresses {
            api: SocketAddr::from((address(index), PORTS.0)),
            p2p: SocketAddr::from((address(index), PORTS.1)),
        };
        (0..self.holders.len()).map(at).collect()
    }

    /// Plugs these replicas into the second switch and all others into the first.
    ///
    /// # Errors
    /// The system refuses.
    pub(crate) fn cut_off(&self, island: &BTreeSet<usize>) -> Result<(), LocalError> {
        for index in 0..self.holders.len() {
            let switch = if island.contains(&index) { ISLAND } else { MAINLAND };
            ip(&format!("link set {} master {switch}", cable(index)))?;
        }
        Ok(())
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        for holder in &mut self.holders {
            // It may have ended already.
            let _ = holder.kill();
            let _ = holder.wait();
        }
    }
}

fn address(index: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, 1 + index as u8)
}

/// The end of a replica's cable at the switch.
fn cable(index: usize) -> String {
    format!("cable{index}")
}

/// Waits until a holder is inside its namespace: `cat` repeats what it is told.
fn answers(holder: &mut Child) -> Result<(), LocalError> {
    use std::io::{Read as _, Write as _};
    let failed = |source| LocalError::Spawn { binary: "unshare".into(), source };
    holder.stdin.as_mut().expect("piped").write_all(b"?").map_err(failed)?;
    holder.stdout.as_mut().expect("piped").read_exact(&mut [0]).map_err(failed)
}

fn ip(arguments: &str) -> Result<(), LocalError> {
    run(Command::new("ip").args(arguments.split(' ')))
}

fn run(command: &mut Command) -> Result<(), LocalError> {
    let reason = match command.stdin(Stdio::null()).output() {
        Ok(output) if output.status.success() => return Ok(()),
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().replace('\n', " "),
        Err(error) => error.to_string(),
    };
    Err(LocalError::NoNamespaces { what: format!("{command:?}").replace('"', ""), reason })
}
