//! Ports on loopback that nobody uses.

use crate::LocalError;
use mains_operator::Addresses;
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
    path::Path,
};

/// Distance from the first API port to where ports for the replicas among themselves are looked for.
const P2P_OFFSET: u16 = 100;
/// Where ports that nobody asked for by number are looked for: below the range from which the system takes ports for
/// outgoing connections, so that they are still free after a restart.
const UNASKED: std::ops::Range<u16> = 10_200..11_900;

/// API ports one after the other from `first` on, as people expect them, and free ports above for the replicas among
/// themselves.
///
/// # Errors
/// [`LocalError::PortInUse`] names the first API port that is not free.
pub(crate) fn in_a_row(first: u16, nodes: usize) -> Result<Vec<Addresses>, LocalError> {
    check_api(first, nodes)?;
    let p2p_ports = find(first.saturating_add(P2P_OFFSET), nodes)?;
    let api = (first..).map(on_loopback);
    Ok(api.zip(p2p_ports).map(|(api, p2p_port)| Addresses { api, p2p: on_loopback(p2p_port) }).collect())
}

/// The first API at `gateway` (port 0: one that is free), everything else on free ports of loopback. Where they are
/// looked for depends on `dir`, so that networks in two directories seldom meet and one finds its own again.
///
/// # Errors
/// [`LocalError::PortInUse`] if the gateway's port is not free.
pub(crate) fn around(gateway: SocketAddr, dir: &Path, nodes: usize) -> Result<Vec<Addresses>, LocalError> {
    let bytes = dir.as_os_str().as_encoded_bytes();
    let digest = bytes.iter().fold(0u16, |sum, byte| sum.wrapping_mul(31).wrapping_add(u16::from(*byte)));
    let mut ports = find(UNASKED.start + digest % (UNASKED.end - UNASKED.start), 2 * nodes)?.into_iter();
    let mut next = || ports.next().unwrap_or_default();
    let mut addresses: Vec<Addresses> =
        (0..nodes).map(|_| Addresses { api: on_loopback(next()), p2p: on_loopback(next()) }).collect();
    let first = &mut addresses[0].api;
    if gateway.port() == 0 {
        first.set_ip(gateway.ip());
    } else if !is_free_at(gateway.ip(), gateway.port()) {
        return Err(LocalError::PortInUse { port: gateway.port() });
    } else {
        *first = gateway;
    }
    Ok(addresses)
}

/// Sees that the API ports are free.
pub(crate) fn check_api(first: u16, nodes: usize) -> Result<(), LocalError> {
    for index in 0..nodes {
        let port = offset(first, index).ok_or(LocalError::NoPorts { port: first, nodes })?;
        if !is_free(port) {
            return Err(LocalError::PortInUse { port });
        }
    }
    Ok(())
}

/// The first `count` free ports from `first` on.
fn find(first: u16, count: usize) -> Result<Vec<u16>, LocalError> {
    let free: Vec<u16> = (first..u16::MAX).filter(|port| is_free(*port)).take(count).collect();
    if free.len() < count { Err(LocalError::NoPorts { port: first, nodes: count }) } else { Ok(free) }
}

fn on_loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

fn offset(first: u16, index: usize) -> Option<u16> {
    first.checked_add(u16::try_from(index).ok()?)
}

fn is_free(port: u16) -> bool {
    is_free_at(Ipv4Addr::LOCALHOST.into(), port)
}

fn is_free_at(ip: IpAddr, port: u16) -> bool {
    TcpListener::bind((ip, port)).is_ok() && UdpSocket::bind((ip, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_named_with_what_to_do() {
        let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = taken.local_addr().expect("bound");
        let port = address.port();
        for error in [check_api(port, 1).err(), around(address, Path::new("/a"), 4).err()] {
            let error = error.expect("it is taken").to_string();
            assert!(error.contains(&port.to_string()) && error.contains("--port"), "{error}");
        }
    }

    #[test]
    fn ports_beyond_the_last_one_are_refused() {
        assert!(matches!(check_api(65_535, 4), Err(LocalError::PortInUse { .. } | LocalError::NoPorts { .. })));
    }

    #[test]
    fn found_ports_are_distinct_and_free() {
        let gateway = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        for addresses in [around(gateway, Path::new("/a"), 4), in_a_row(20_000, 4)] {
            let addresses = addresses.expect("loopback has room");
            assert_eq!(addresses.len(), 4);
            let mut ports: Vec<u16> = addresses.iter().flat_map(|one| [one.api.port(), one.p2p.port()]).collect();
            ports.sort_unstable();
            ports.dedup();
            assert_eq!(ports.len(), 8);
            assert!(!ports.contains(&0));
        }
    }
}
