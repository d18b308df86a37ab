//! A client as stock agents are: signs, sends to some replica, waits for the certified outcome, sends again if unsure.

use crate::{
    checks::replies,
    log::{Log, Mark},
    subnet::Subnet,
};
use commonware_runtime::{Clock as _, deterministic::Context};
use ic_ed25519::PrivateKey;
use mains_crypto::VerifiedCall;
use mains_replica::{ReplicaHandle, SubmitError};
use mains_state::IngressStatus;
use mains_types::{CanisterId, Principal, Reject, RequestId, UnixNanos};
use std::{
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

/// How long a client waits for an outcome at one replica before it asks another.
const PATIENCE: Duration = Duration::from_secs(4);
/// How long a request is valid.
pub const VALIDITY: Duration = Duration::from_secs(240);

/// A client with a key.
#[derive(Clone)]
pub struct Client {
    key: Arc<PrivateKey>,
    context: Arc<Context>,
    log: Arc<Log>,
    /// A member that it never asks.
    avoids: Option<usize>,
}

/// How a call ended.
pub struct Outcome {
    /// The request.
    pub id: RequestId,
    /// The reply, or why there is none.
    pub result: Result<Vec<u8>, Reject>,
}

/// What a client calls.
pub struct Target {
    /// The callee.
    pub canister: CanisterId,
    /// The canister that the call is about.
    pub effective: CanisterId,
    /// The method.
    pub method: &'static str,
}

impl Client {
    /// A client whose key follows from `seed`.
    pub fn new(seed: [u8; 32], context: Context, log: Arc<Log>) -> Self {
        let key = PrivateKey::deserialize_raw_32(&seed);
        Self { key: Arc::new(key), context: Arc::new(context), log, avoids: None }
    }

    /// The same client, which never asks this member.
    pub fn avoiding(self, member: usize) -> Self {
        Self { avoids: Some(member), ..self }
    }

    /// Its principal.
    pub fn principal(&self) -> Principal {
        Principal::self_authenticating(self.key.public_key().serialize_rfc8410_der())
    }

    /// The runtime's time.
    pub fn now(&self) -> UnixNanos {
        UnixNanos(self.context.current().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64)
    }

    /// A signed request that is valid for this long.
    pub fn request(&self, target: &Target, argument: Vec<u8>, nonce: u64, validity: Duration) -> Vec<u8> {
        let expiry = self.now().saturating_add_nanos(validity.as_nanos() as u64);
        self.signed(&self.key.public_key().serialize_rfc8410_der(), target, argument, nonce, expiry)
    }

    /// A signed request that expired before there was a network, so before any member's clock and any block.
    pub fn expired(&self, target: &Target, argument: Vec<u8>, nonce: u64) -> Vec<u8> {
        self.signed(&self.key.public_key().serialize_rfc8410_der(), target, argument, nonce, UnixNanos(1))
    }

    fn signed(&self, key: &[u8], target: &Target, argument: Vec<u8>, nonce: u64, expiry: UnixNanos) -> Vec<u8> {
        mains_crypto::sign_call(
            &mains_wire::Call {
                canister_id: target.canister,
                method_name: target.method.to_owned(),
                arg: argument,
                sender: Principal::self_authenticating(key),
                ingress_expiry: expiry,
                nonce: Some(nonce.to_be_bytes().to_vec()),
                sender_info: None,
            },
            key,
            |message| self.key.sign_message(message).to_vec(),
        )
    }

    /// The same in this client's name, signed by somebody else.
    pub fn forged(&self, target: &Target, argument: Vec<u8>, nonce: u64) -> Vec<u8> {
        let thief = PrivateKey::deserialize_raw_32(&[77; 32]);
        Self { key: Arc::new(thief), ..self.clone() }.signed(
            &self.key.public_key().serialize_rfc8410_der(),
            target,
            argument,
            nonce,
            self.now().saturating_add_nanos(VALIDITY.as_nanos() as u64),
        )
    }

    /// Sends a request to the members, one after another from `turn`, until its outcome is certified. `None` if it expires
    /// before that.
    ///
    /// # Errors
    /// A promise that was broken.
    pub async fn call(
        &self,
        subnet: &Subnet,
        turn: &mut usize,
        target: &Target,
        request: &[u8],
        validity: Duration,
    ) -> Result<Option<Outcome>, String> {
        let raw = bytes::Bytes::copy_from_slice(request);
        subnet.findings.blocks.signed(mains_wire::Envelope::from_bytes(raw.clone()).expect("our own request parses"));
        subnet.loot.calls.lock().expect("no holder panics").push_back(raw);
        let deadline = self.context.current() + validity;
        let mut sent = 0;
        while self.context.current() < deadline {
            if let Some(broken) = self.log.first_broken() {
                return Err(broken);
            }
            *turn += 1;
            let member = *turn % subnet.members();
            if self.avoids == Some(member) {
                continue;
            }
            if let Some(replica) = subnet.replica(member) {
                subnet.findings.monotone.look(member, &replica, &self.log);
                if sent == 1 {
                    self.log.mark(Mark::Resent);
                }
                sent += 1;
                if let Some(outcome) = self.attempt(subnet, member, &replica, request, target).await? {
                    return Ok(Some(outcome));
                }
            }
            self.context.sleep(Duration::from_millis(200)).await;
        }
        Ok(None)
    }

    async fn attempt(
        &self,
        subnet: &Subnet,
        member: usize,
        replica: &ReplicaHandle,
        request: &[u8],
        target: &Target,
    ) -> Result<Option<Outcome>, String> {
        let envelope = mains_wire::Envelope::parse(request).expect("our own request parses");
        let Ok(call) = mains_crypto::verify_call(envelope, replica.now(), replica.trust()) else { return Ok(None) };
        let call: VerifiedCall = call;
        let id = call.request_id();
        match replica.submit(call, target.effective).await {
            Ok(_) => {}
            Err(SubmitError::Busy { .. }) => {
                self.log.mark(Mark::PoolFull);
                return Ok(None);
            }
            Err(SubmitError::Rejected(_) | SubmitError::NotReady { .. } | SubmitError::NoRoom { .. }) => {
                return Ok(None);
            }
            Err(error @ SubmitError::WrongEffectiveCanister) => return Err(error.to_string()),
        }
        let view = tokio::select! {
            biased;
            view = replica.outcome(&id) => view,
            () = self.context.sleep(PATIENCE) => return Ok(None),
        };
        replies::signed(&view, subnet.genesis())?;
        subnet.findings.monotone.look(member, replica, &self.log);
        let result = match view.state.ingress_status(&id) {
            Some(IngressStatus::Replied(reply)) => Ok(reply.to_vec()),
            Some(IngressStatus::Rejected(reject)) => Err(reject.clone()),
            _ => return Ok(None),
        };
        self.log.detail(|| format!("a client has the outcome of {} from member {member}", target.method));
        Ok(Some(Outcome { id, result }))
    }
}
