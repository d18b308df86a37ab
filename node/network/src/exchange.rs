//! Members tell each other where the others are, so that one reachable bootstrap address is enough. What is heard is a
//! hint: whoever answers at an address still has to prove its key.
//!
//! On the wire: one substream per message, multiaddresses with `/p2p/<peer id>`, one a line.

use crate::{
    book::Source,
    driver::Shared,
    identity::{key_of, peer_of},
};
use commonware_cryptography::ed25519::PublicKey;
use futures::{AsyncReadExt as _, AsyncWriteExt as _, StreamExt as _};
use libp2p::{Multiaddr, PeerId, Stream, StreamProtocol, multiaddr::Protocol};
use libp2p_stream::IncomingStreams;
use std::{sync::Arc, time::Duration};

/// Bytes and lines of one message: 8 addresses of each of 64 members.
const BYTES_MAX: u64 = 64 << 10;
const LINES_MAX: usize = 512;
/// How long telling or hearing may take.
const TIMEOUT: Duration = Duration::from_secs(5);

pub(crate) fn protocol(shared: &Shared) -> StreamProtocol {
    shared.protocol("addresses")
}

/// What this node tells: its own addresses are the identify protocol's business.
pub(crate) fn message<'a>(known: impl Iterator<Item = (&'a PublicKey, &'a Multiaddr)>) -> String {
    let mut text = String::new();
    for (member, address) in known.take(LINES_MAX) {
        let line = format!("{address}/p2p/{}\n", peer_of(member));
        if (text.len() + line.len()) as u64 > BYTES_MAX {
            break;
        }
        text.push_str(&line);
    }
    text
}

/// Tells `peer` what this node knows.
pub(crate) async fn tell(shared: Arc<Shared>, peer: PeerId, message: String) {
    let telling = async {
        let mut stream = shared.control().open_stream(peer, protocol(&shared)).await.ok()?;
        stream.write_all(message.as_bytes()).await.ok()?;
        stream.close().await.ok()
    };
    if !matches!(tokio::time::timeout(TIMEOUT, telling).await, Ok(Some(()))) {
        tracing::debug!(%peer, "could not tell the members' addresses");
    }
}

/// Takes what members tell, one after the other.
pub(crate) async fn hear(shared: Arc<Shared>, mut incoming: IncomingStreams) {
    while let Some((peer, stream)) = incoming.next().await {
        if key_of(&peer).is_none_or(|peer| !shared.members().is_allowed(&peer)) {
            continue;
        }
        let Ok(Some(text)) = tokio::time::timeout(TIMEOUT, receive(stream)).await else { continue };
        for (member, address) in parse(&text) {
            if shared.members().is_allowed(&member) {
                shared.book().add(&member, address, Source::Hearsay, std::time::Instant::now());
            }
        }
    }
}

async fn receive(stream: Stream) -> Option<String> {
    let mut bytes = Vec::new();
    stream.take(BYTES_MAX).read_to_end(&mut bytes).await.ok()?;
    String::from_utf8(bytes).ok()
}

fn parse(text: &str) -> impl Iterator<Item = (PublicKey, Multiaddr)> {
    text.lines().take(LINES_MAX).filter_map(|line| {
        let address: Multiaddr = line.parse().ok()?;
        named(&address)
    })
}

/// The member that an address with `/p2p/<peer id>` belongs to.
pub(crate) fn named(address: &Multiaddr) -> Option<(PublicKey, Multiaddr)> {
    match address.iter().last() {
        Some(Protocol::P2p(peer)) => Some((key_of(&peer)?, crate::book::without_peer(address.clone()))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::key_pair;

    #[test]
    fn what_is_told_is_heard_and_the_rest_is_ignored() {
        let member = key_of(&key_pair([5; 32]).public().to_peer_id()).expect("ed25519");
        let address: Multiaddr = "/ip4/10.0.0.1/udp/4951/quic-v1".parse().expect("an address");
        let text = message([(&member, &address)].into_iter());
        assert_eq!(parse(&text).collect::<Vec<_>>(), [(member.clone(), address.clone())]);
        let noise =
            format!("\n\u{1f}garbage\n/ip4/10.0.0.1/tcp/1\n/ip4/10.0.0.1/tcp/1/p2p/{}\n{text}", PeerId::random());
        assert_eq!(parse(&noise).collect::<Vec<_>>(), [(member.clone(), address.clone())]);
        let many = vec![(&member, &address); 10 * LINES_MAX];
        assert!(message(many.into_iter()).len() as u64 <= BYTES_MAX);
    }
}
