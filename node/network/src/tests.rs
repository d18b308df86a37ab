//! Whole networks on loopback, over real sockets.

use super::*;
use commonware_cryptography::ed25519::PublicKey;
use commonware_p2p::{Blocker as _, Manager as _, Receiver as _, Recipients, Sender as _};
use commonware_runtime::{Runner as _, Supervisor as _, tokio as runtime};
use commonware_utils::{NZU32, ordered::Set};
use std::time::Instant;
use tokio::{sync::oneshot, time::timeout};

const CHANNEL: Channel = 5;
const MESSAGE_BYTES_MAX: u32 = 1 << 20;
/// Takes a second for what comes after the first so many bytes.
const BYTES_PER_SECOND: u32 = 8 << 20;
/// Far above what anything here takes, far below a hanging build.
const DEADLINE: Duration = Duration::from_secs(20);

struct Node {
    key: PublicKey,
    network: Network<runtime::Context>,
    oracle: Oracle,
    sender: Sender<runtime::Context>,
    receiver: Receiver,
    task: Handle<()>,
}

fn key(seed: u8) -> PublicKey {
    identity::key_of(&identity::key_pair([seed; 32]).public().to_peer_id()).expect("ed25519")
}

impl Node {
    /// Starts the node with this seed; `members` are the seeds of the committee.
    async fn start(
        context: &runtime::Context,
        seed: u8,
        members: &[u8],
        listen: &str,
        bootstrap: Vec<Multiaddr>,
    ) -> Self {
        let config = Config {
            seed: [seed; 32],
            listen: vec![listen.parse().expect("an address")],
            bootstrap,
            mdns: false,
            protocol: "test/0".into(),
            max_message_size: MESSAGE_BYTES_MAX,
            max_peers: members.len(),
        };
        let committee = Set::from_iter_dedup(members.iter().map(|member| key(*member)));
        let (parts, started) = oneshot::channel();
        // Everything of the node hangs on this task, so that aborting it is the end of the node.
        let task = context.child("node").spawn(move |context| async move {
            let (mut network, mut oracle) = Network::start(context.child("network"), config).expect("starts");
            oracle.track(0, committee);
            let bytes = ByteQuota { message_bytes_max: MESSAGE_BYTES_MAX, bytes_per_second: BYTES_PER_SECOND };
            let (sender, receiver) = network.register(CHANNEL, Quota::per_second(NZU32!(1_000)), bytes);
            network.listening(DEADLINE).await;
            let _ = parts.send((network, oracle, sender, receiver));
            std::future::pending::<()>().await;
        });
        let (network, oracle, sender, receiver) = started.await.expect("started");
        Self { key: key(seed), network, oracle, sender, receiver, task }
    }

    fn address(&self) -> Multiaddr {
        self.network.listen_addresses()[0].clone()
    }

    fn named_address(&self) -> Multiaddr {
        let peer = identity::peer_of(&self.key);
        format!("{}/p2p/{peer}", self.address()).parse().expect("an address")
    }

    fn is_connected_to(&self, other: &PublicKey) -> bool {
        self.network.peers().iter().any(|peer| peer.connected && peer.public_key == identity::bytes(other))
    }

    async fn receive(&mut self) -> (PublicKey, Vec<u8>) {
        let (from, message) = timeout(DEADLINE, self.receiver.recv()).await.expect("in time").expect("runs");
        (from, message.as_ref().to_vec())
    }

    /// Sends `message` to `to` until `to` has it: delivery is best effort.
    async fn tell(&mut self, to: &mut Self, message: &[u8]) {
        let until = Instant::now() + DEADLINE;
        while Instant::now() < until {
            self.sender.send(Recipients::One(to.key.clone()), message.to_vec(), false);
            let patience = Duration::from_millis(200);
            while let Ok(Ok((from, received))) = timeout(patience, to.receiver.recv()).await {
                if from == self.key && received.as_ref() == message {
                    return;
                }
            }
        }
        panic!("a message did not arrive in {DEADLINE:?}");
    }
}

async fn eventually(what: &str, condition: impl Fn() -> bool) -> Duration {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < DEADLINE, "not in {DEADLINE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    start.elapsed()
}

fn run<F: Future<Output = ()>>(test: impl FnOnce(runtime::Context) -> F) {
    // The runtime makes a directory even for those who store nothing.
    let storage = tempfile::tempdir().expect("a temporary directory");
    let config = runtime::Config::new().with_worker_threads(2).with_storage_directory(storage.path());
    runtime::Runner::new(config).start(test);
}

const TCP: &str = "/ip4/127.0.0.1/tcp/0";
const QUIC: &str = "/ip4/127.0.0.1/udp/0/quic-v1";

#[test]
fn two_members_exchange_messages_of_any_size_over_tcp_and_over_quic() {
    for listen in [TCP, QUIC] {
        run(|context| async move {
            let mut one = Node::start(&context, 1, &[1, 2], listen, vec![]).await;
            let mut two = Node::start(&context, 2, &[1, 2], listen, vec![one.named_address()]).await;
            for length in [0, 1, 1_000, MESSAGE_BYTES_MAX as usize] {
                let message = vec![length as u8; length];
                one.tell(&mut two, &message).await;
                two.tell(&mut one, &message).await;
            }
            let peers = one.network.peers();
            assert!(peers.len() == 1 && peers[0].address.is_some(), "{peers:?}");
            eventually("a measured round trip", || one.network.peers()[0].rtt.is_some()).await;
        });
    }
}

#[test]
fn messages_between_two_members_keep_their_order_and_all_arrive_within_the_quota() {
    run(|context| async move {
        let mut one = Node::start(&context, 1, &[1, 2], TCP, vec![]).await;
        let mut two = Node::start(&context, 2, &[1, 2], TCP, vec![one.named_address()]).await;
        one.tell(&mut two, b"warm").await;
        for index in 0..200u32 {
            let sent = one.sender.send(Recipients::All, index.to_be_bytes().to_vec(), false);
            assert_eq!(sent, std::slice::from_ref(&two.key));
        }
        for index in 0..200u32 {
            assert_eq!(two.receive().await, (one.key.clone(), index.to_be_bytes().to_vec()));
        }
    });
}

#[test]
fn a_stranger_is_refused() {
    run(|context| async move {
        let mut one = Node::start(&context, 1, &[1, 2], TCP, vec![]).await;
        let mut two = Node::start(&context, 2, &[1, 2], TCP, vec![one.named_address()]).await;
        one.tell(&mut two, b"warm").await;
        // It knows the network's name and believes to be a member; the members do not.
        let mut stranger =
            Node::start(&context, 3, &[1, 2, 3], TCP, vec![one.named_address(), two.named_address()]).await;
        let until = Instant::now() + Duration::from_secs(2);
        while Instant::now() < until {
            stranger.sender.send(Recipients::All, b"let me in".to_vec(), false);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        one.tell(&mut two, b"still here").await;
        assert!(timeout(Duration::from_millis(100), one.receiver.recv()).await.is_err(), "nothing from the stranger");
        assert!(!one.is_connected_to(&stranger.key) && one.network.peers().len() == 1);
        drop(stranger);
    });
}

#[test]
fn a_member_that_restarts_is_back_in_a_second_on_either_side_and_transport() {
    for listen in [TCP, QUIC] {
        for restarted in [1, 2] {
            run(|context| async move {
                let other = 3 - restarted;
                let mut stays = Node::start(&context, other, &[1, 2], listen, vec![]).await;
                let bootstrap = vec![stays.named_address()];
                let mut goes = Node::start(&context, restarted, &[1, 2], listen, bootstrap.clone()).await;
                stays.tell(&mut goes, b"before").await;
                goes.tell(&mut stays, b"before").await;
                goes.task.abort();
                drop(goes);
                tokio::time::sleep(Duration::from_millis(300)).await;
                let start = Instant::now();
                let mut back = Node::start(&context, restarted, &[1, 2], listen, bootstrap).await;
                eventually("it connects again", || back.is_connected_to(&stays.key)).await;
                assert!(start.elapsed() < Duration::from_secs(1), "took {:?}", start.elapsed());
                stays.tell(&mut back, b"after").await;
                back.tell(&mut stays, b"after").await;
            });
        }
    }
}

#[test]
fn a_member_that_comes_back_at_its_old_address_is_found_by_the_others() {
    run(|context| async move {
        let goes = Node::start(&context, 2, &[1, 2], TCP, vec![]).await;
        let address = goes.address();
        let mut stays = Node::start(&context, 1, &[1, 2], TCP, vec![goes.named_address()]).await;
        eventually("they connect", || stays.is_connected_to(&goes.key)).await;
        goes.task.abort();
        let gone = goes.key.clone();
        drop(goes);
        eventually("the loss is noticed", || !stays.is_connected_to(&gone)).await;
        // It knows nobody: the others must dial.
        let mut back = Node::start(&context, 2, &[1, 2], &address.to_string(), vec![]).await;
        let took = eventually("it is found", || stays.is_connected_to(&back.key)).await;
        assert!(took < Duration::from_secs(2), "took {took:?}");
        stays.tell(&mut back, b"welcome").await;
    });
}

#[test]
fn members_that_know_one_address_find_all_the_others() {
    run(|context| async move {
        let members = [1, 2, 3, 4];
        let first = Node::start(&context, 1, &members, TCP, vec![]).await;
        // Without a peer id: the name is learned from who answers.
        let unnamed = crate::book::without_peer(first.address());
        let mut nodes = vec![first];
        for seed in [2, 3, 4] {
            nodes.push(Node::start(&context, seed, &members, TCP, vec![unnamed.clone()]).await);
        }
        eventually("a full mesh", || {
            nodes.iter().all(|node| node.network.peers().iter().filter(|peer| peer.connected).count() == 3)
        })
        .await;
    });
}

#[test]
fn a_blocked_member_is_cut_off_and_stays_out() {
    run(|context| async move {
        let mut one = Node::start(&context, 1, &[1, 2], TCP, vec![]).await;
        let mut two = Node::start(&context, 2, &[1, 2], TCP, vec![one.named_address()]).await;
        two.tell(&mut one, b"warm").await;
        #[allow(clippy::disallowed_methods, reason = "the test is the engine here")]
        one.oracle.block(two.key.clone());
        eventually("it is cut off", || !one.is_connected_to(&two.key)).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!one.is_connected_to(&two.key) && one.network.peers()[0].blocked);
        assert!(one.sender.send(Recipients::One(two.key.clone()), b"anyone?".to_vec(), false).is_empty());
    });
}

#[test]
fn bytes_above_the_quota_wait_and_none_is_lost() {
    const MESSAGES: usize = 12;
    run(|context| async move {
        let mut one = Node::start(&context, 1, &[1, 2], TCP, vec![]).await;
        let mut two = Node::start(&context, 2, &[1, 2], TCP, vec![one.named_address()]).await;
        two.tell(&mut one, b"warm").await;
        let began = Instant::now();
        for _ in 0..MESSAGES {
            let message = vec![7; MESSAGE_BYTES_MAX as usize];
            assert_eq!(two.sender.send(Recipients::One(one.key.clone()), message, false).len(), 1);
        }
        for _ in 0..MESSAGES {
            assert_eq!(one.receive().await.1.len(), MESSAGE_BYTES_MAX as usize);
        }
        // 8 MiB may come at once, the last 4 take half a second.
        assert!(began.elapsed() >= Duration::from_millis(400), "{:?}", began.elapsed());
    });
}

#[test]
fn an_address_that_is_taken_is_an_error_that_names_it() {
    run(|context| async move {
        let one = Node::start(&context, 1, &[1], TCP, vec![]).await;
        let config = Config {
            seed: [2; 32],
            listen: vec![one.address()],
            bootstrap: vec![],
            mdns: false,
            protocol: "test/0".into(),
            max_message_size: MESSAGE_BYTES_MAX,
            max_peers: 1,
        };
        match Network::start(context.child("second"), config) {
            Err(NetworkError::Listen { address, .. }) => assert_eq!(address, one.address()),
            other => panic!("expected an error, started: {}", other.is_ok()),
        }
    });
}
