//! A call from one canister to another, with what is to happen on its answer.

use super::{Bytes, Function, Number, Parameter, Script, ask, operations as op, system, words};
use anyhow::{Result, ensure};
use mains_types::Principal;

/// A call to be made. Unless said otherwise its answer becomes the answer of the caller: see [`Relayed`].
#[derive(Clone, Debug)]
pub struct Call {
    callee: Bytes,
    method: Bytes,
    argument: Option<Bytes>,
    on_reply: Option<Script>,
    on_reject: Option<Script>,
    on_cleanup: Option<Script>,
    cycles: Option<u128>,
    timeout_seconds: Option<u64>,
}

/// The answer of a call as the caller tells it on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Relayed {
    /// A reply.
    Reply(Vec<u8>),
    /// A reject: its code and message.
    Reject(u32, String),
}

impl Relayed {
    /// Reads what [`Call`]'s callbacks replied.
    ///
    /// # Errors
    /// It is nothing of theirs.
    pub fn read(reply: &[u8]) -> Result<Self> {
        match reply.split_first() {
            Some((0, reply)) => Ok(Self::Reply(reply.to_vec())),
            Some((1, reject)) if reject.len() >= 4 => {
                let (code, text) = reject.split_at(4);
                Ok(Self::Reject(u32::from_le_bytes(code.try_into()?), String::from_utf8(text.to_vec())?))
            }
            _ => anyhow::bail!("an answer that was told on, not {}", hex::encode(reply)),
        }
    }

    /// Sees that it is a reply and gives it.
    ///
    /// # Errors
    /// It is a reject.
    pub fn reply(self) -> Result<Vec<u8>> {
        match self {
            Self::Reply(reply) => Ok(reply),
            Self::Reject(code, text) => anyhow::bail!("expected a reply, got reject {code}: {text}"),
        }
    }

    /// Sees that it is a reject with this code and, somewhere in its message, this text.
    ///
    /// # Errors
    /// It is not.
    pub fn is_reject(&self, expected: u32, text: &str) -> Result<()> {
        match self {
            Self::Reject(code, message) => {
                ensure!(*code == expected, "expected reject code {expected}, got {code}: {message}");
                ensure!(message.contains(text), "expected {text:?} in the reject message, got {message:?}");
                Ok(())
            }
            Self::Reply(reply) => anyhow::bail!("expected reject code {expected}, got reply {}", hex::encode(reply)),
        }
    }
}

impl Call {
    /// A call of method `update` with an empty argument.
    pub fn to(callee: impl Into<Bytes>) -> Self {
        Self {
            callee: callee.into(),
            method: "update".into(),
            argument: None,
            on_reply: None,
            on_reject: None,
            on_cleanup: None,
            cycles: None,
            timeout_seconds: None,
        }
    }

    /// A call of the management canister.
    pub fn management(method: &str, argument: Vec<u8>) -> Self {
        Self::to(Principal::management_canister()).method(method).argument(argument)
    }

    /// Another method.
    pub fn method(self, name: &str) -> Self {
        Self { method: name.into(), ..self }
    }

    /// An argument; a script, for another scripted canister.
    pub fn argument(self, argument: impl Into<Bytes>) -> Self {
        Self { argument: Some(argument.into()), ..self }
    }

    /// What happens on a reply.
    pub fn on_reply(self, script: Script) -> Self {
        Self { on_reply: Some(script), ..self }
    }

    /// What happens on a reject.
    pub fn on_reject(self, script: Script) -> Self {
        Self { on_reject: Some(script), ..self }
    }

    /// What happens if one of the former traps.
    pub fn on_cleanup(self, script: Script) -> Self {
        Self { on_cleanup: Some(script), ..self }
    }

    /// Cycles that go with it.
    pub fn cycles(self, amount: u128) -> Self {
        Self { cycles: Some(amount), ..self }
    }

    /// Makes it a best-effort call.
    pub fn timeout(self, seconds: u64) -> Self {
        Self { timeout_seconds: Some(seconds), ..self }
    }

    /// Everything up to `call_perform`, which is left to be done.
    pub fn begun(self) -> Script {
        let on_reply = self.on_reply.unwrap_or_else(|| words::reply(Bytes::from(&[0]) + words::argument()));
        let on_reject = self.on_reject.unwrap_or_else(|| {
            words::reply(Bytes::from(&[1]) + words::reject_code().bytes(4) + words::reject_message())
        });
        let new = Function::call_new;
        let mut script = system(new, [self.callee.into(), self.method.into(), kept(on_reply), kept(on_reject)]);
        if let Some(cleanup) = self.on_cleanup {
            script = script + system(Function::call_on_cleanup, [kept(cleanup)]);
        }
        if let Some(argument) = self.argument {
            script = script + system(Function::call_data_append, [argument.into()]);
        }
        if let Some(seconds) = self.timeout_seconds {
            script = script + system(Function::call_with_best_effort_response, [seconds.into()]);
        }
        match self.cycles {
            Some(amount) => script + words::add_cycles(amount),
            None => script,
        }
    }

    /// Sends it; traps if it cannot be sent.
    pub fn send(self) -> Script {
        let sent = ask(Function::call_perform, []);
        self.begun() + words::when(sent, words::trap("the call was not sent"), Script::new())
    }

    /// Sends it; what `call_perform` answered. The rest of the script comes first.
    pub fn perform(self) -> Number {
        Number([self.begun().bytes(), ask(Function::call_perform, []).0].concat())
    }
}

/// A callback: function and environment.
fn kept(script: Script) -> Parameter {
    Parameter([Bytes::from(script).0, vec![op::CALLBACK]].concat())
}
