//! Ports on loopback that nobody uses.

use crate::LocalError;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};

/// Distance from the first API port to where ports for the replicas among themselves are looked for.
const P2P_OFFSET: u16 = 100;

/// Sees that the API ports are free.
///
/// # Errors
/// [`LocalError::PortInUse`] names the first that is not.
pub(crate) fn check_api(first: u16, nodes: usize) -> Result<(), LocalError> {
    for index in 0..nodes {
        let port = offset(first, index).ok_or(LocalError::NoPorts { port: first, nodes })?;
        if !is_free(port) {
            return Err(LocalError::PortInUse { port });
        }
    }
    Ok(())
}

/// Free ports for the replicas among themselves: above the API ports and, as these, outside the range from which the
/// system takes ports for outgoing connections, so that they are still free after a restart.
pub(crate) fn find_p2p(api_port: u16, nodes: usize) -> Result<Vec<u16>, LocalError> {
    let first = api_port.saturating_add(P2P_OFFSET);
    let free: Vec<u16> = (first..u16::MAX).filter(|port| is_free(*port)).take(nodes).collect();
    if free.len() < nodes { Err(LocalError::NoPorts { port: first, nodes }) } else { Ok(free) }
}

fn offset(first: u16, index: usize) -> Option<u16> {
    first.checked_add(u16::try_from(index).ok()?)
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() && UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_named_with_what_to_do() {
        let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = taken.local_addr().expect("bound").port();
        let error = check_api(port, 1).expect_err("it is taken").to_string();
        assert!(error.contains(&port.to_string()) && error.contains("--port"), "{error}");
    }

    #[test]
    fn ports_beyond_the_last_one_are_refused() {
        assert!(matches!(check_api(65_535, 4), Err(LocalError::PortInUse { .. } | LocalError::NoPorts { .. })));
    }

    #[test]
    fn found_ports_are_distinct_and_free() {
        let ports = find_p2p(20_000, 4).expect("loopback has room");
        assert_eq!(ports.len(), 4);
        assert!(ports.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
