//! A client as stock agents are: signs, sends to some replica, waits for the certified outcome, sends again if unsure.

use commonware_runtime::{Clock as _, deterministic::Context};
use ic_ed25519::PrivateKey;
use mains_crypto::VerifiedCall;
use mains_replica::{ReplicaHandle, SubmitError, View};
use mains_state::IngressStatus;
use mains_types::{CanisterId, Principal, Reject, RequestId, UnixNanos};
use std::{
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

/// How long a client waits for an outcome at one replica before it asks another.
const PATIENCE: Duration = Duration::from_secs(4);
/// How long a request is valid.
const VALIDITY: Duration = Duration::from_secs(240);

/// A client with a key.
#[derive(Clone)]
pub struct Client {
    key: Arc<PrivateKey>,
    context: Arc<Context>,
}

/// How a call ended, with the view that proves it.
pub struct Outcome {
    /// The request.
    pub id: RequestId,
    /// The reply, or why there is none.
    pub result: Result<Vec<u8>, Reject>,
    /// A certified view that holds it.
    pub view: Arc<View>,
}

impl Client {
    /// A client whose key follows from `seed`.
    pub fn new(seed: [u8; 32], context: Context) -> Self {
        let key = PrivateKey::deserialize_raw_32(&seed);
        Self { key: Arc::new(key), context: Arc::new(context) }
    }

    /// Its principal.
    pub fn principal(&self) -> Principal {
        Principal::self_authenticating(self.key.public_key().serialize_rfc8410_der())
    }

    /// The runtime's time.
    pub fn now(&self) -> UnixNanos {
        UnixNanos(self.context.current().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64)
    }

    /// A signed request.
    ///
    /// # Panics
    /// If our own envelope does not verify.
    pub fn request(&self, canister: CanisterId, method: &str, argument: Vec<u8>, nonce: u64) -> Vec<u8> {
        mains_crypto::sign_call(
            &mains_wire::Call {
                canister_id: canister,
                method_name: method.to_owned(),
                arg: argument,
                sender: self.principal(),
                ingress_expiry: self.now().saturating_add_nanos(VALIDITY.as_nanos() as u64),
                nonce: Some(nonce.to_be_bytes().to_vec()),
                sender_info: None,
            },
            &self.key.public_key().serialize_rfc8410_der(),
            |message| self.key.sign_message(message).to_vec(),
        )
    }

    /// Sends `request` to the replicas that `pick` names, one after another, until its outcome is certified.
    ///
    /// # Errors
    /// The request expired before that.
    pub async fn call(
        &self,
        request: &[u8],
        effective: CanisterId,
        mut pick: impl FnMut() -> Option<ReplicaHandle>,
    ) -> Result<Outcome, Expired> {
        let deadline = self.context.current() + VALIDITY;
        while self.context.current() < deadline {
            if let Some(replica) = pick()
                && let Some(outcome) = self.attempt(&replica, request, effective).await
            {
                return Ok(outcome);
            }
            self.context.sleep(Duration::from_millis(200)).await;
        }
        Err(Expired)
    }

    async fn attempt(&self, replica: &ReplicaHandle, request: &[u8], effective: CanisterId) -> Option<Outcome> {
        let envelope = mains_wire::Envelope::parse(request).expect("our own request parses");
        let call: VerifiedCall = mains_crypto::verify_call(envelope, self.now(), replica.trust()).ok()?;
        let id = call.request_id();
        match replica.submit(call, effective).await {
            Ok(_) => {}
            Err(SubmitError::Rejected(_) | SubmitError::Busy { .. } | SubmitError::NotReady { .. }) => return None,
            Err(error @ SubmitError::WrongEffectiveCanister) => panic!("{error}"),
        }
        let view = tokio::select! {
            biased;
            view = replica.outcome(&id) => view,
            () = self.context.sleep(PATIENCE) => return None,
        };
        let result = match view.state.ingress_status(&id)? {
            IngressStatus::Replied(reply) => Ok(reply.to_vec()),
            IngressStatus::Rejected(reject) => Err(reject.clone()),
            IngressStatus::Done | IngressStatus::Received | IngressStatus::Processing => return None,
        };
        Some(Outcome { id, result, view })
    }
}

/// A request expired without a certified outcome.
#[derive(Debug, thiserror::Error)]
#[error("a request expired without a certified outcome")]
pub struct Expired;
