//! Queries: run on one version of the state, change nothing, cost nothing. Composite ones may query other canisters of the
//! subnet on the same version.

use crate::{
    calls::is_built_in,
    charges,
    engine::{Engine, Entry, Run},
    induction, management, rejects, run,
    system_api::{Effects, Inputs, Mode, OutgoingCall, SystemApi},
    system_canisters, traps,
};
use mains_state::{CallerInfo, Canister, State};
use mains_types::{CanisterId, Cycles, Principal, Reject, UnixNanos, limits};
use std::{collections::VecDeque, sync::Arc};

/// A query, from a client or from a composite query.
#[derive(Clone, Debug)]
pub struct QueryCall {
    /// Who asks.
    pub sender: Principal,
    /// What a canister says about who asks.
    pub caller_info: Option<CallerInfo>,
    /// Who is asked; `aaaaa-aa` for the management canister.
    pub canister_id: CanisterId,
    /// The method.
    pub method: String,
    /// The argument.
    pub argument: Vec<u8>,
}

/// Answers a query on this state. `certificate` proves the canister's certified data at the same height.
///
/// # Errors
/// The reject that the client sees.
pub fn query(
    engine: &dyn Engine,
    state: &State,
    certificate: Option<&[u8]>,
    query: &QueryCall,
) -> Result<Vec<u8>, Reject> {
    let mut evaluation = Evaluation {
        engine,
        state,
        instructions_left: limits::QUERY_INSTRUCTIONS_MAX,
        calls_left: limits::COMPOSITE_CALLS_MAX,
        stack: Vec::new(),
    };
    evaluation.ask(query.clone(), certificate.map(<[u8]>::to_vec))
}

/// One query with all queries that it makes.
struct Evaluation<'a> {
    engine: &'a dyn Engine,
    state: &'a State,
    instructions_left: u64,
    calls_left: usize,
    /// Canisters that wait for each other.
    stack: Vec<CanisterId>,
}

/// What the runs of one question share.
struct Frame {
    /// With the memories as its runs left them.
    canister: Arc<Canister>,
    is_composite: bool,
    caller: Principal,
    caller_info: Option<CallerInfo>,
    certificate: Option<Vec<u8>>,
    responded: bool,
    deadline: Option<UnixNanos>,
    instructions: u64,
}

impl Evaluation<'_> {
    fn ask(&mut self, ask: QueryCall, certificate: Option<Vec<u8>>) -> Result<Vec<u8>, Reject> {
        let id = ask.canister_id;
        if id == Principal::management_canister() {
            return management::query(self.state, ask.sender, &ask.method, &ask.argument);
        }
        if is_built_in(self.state, &id) {
            return system_canisters::query(self.state, certificate.as_deref(), &id, &ask.method, &ask.argument);
        }
        if self.stack.contains(&id) {
            return Err(rejects::composite_loop(&id));
        }
        let canister = self.state.canister_shared(&id).ok_or_else(|| rejects::not_found(&id))?;
        induction::ready_for_calls(&canister)?;
        charges::require_liquid(self.state, &id, Cycles::ZERO)?;
        let exports = canister.code.as_ref().ok_or_else(|| rejects::no_module(&id))?.exports.clone();
        let is_composite = exports.composite_queries.contains(&ask.method);
        if !is_composite && !exports.queries.contains(&ask.method) {
            return Err(rejects::no_method(&id, "query", &ask.method));
        }
        let frame = Frame {
            canister,
            is_composite,
            caller: ask.sender,
            caller_info: ask.caller_info,
            certificate,
            responded: false,
            deadline: None,
            instructions: 0,
        };
        self.stack.push(id);
        let result = self.evaluate(frame, &ask.method, ask.argument);
        self.stack.pop();
        result
    }

    fn evaluate(&mut self, mut frame: Frame, method: &str, argument: Vec<u8>) -> Result<Vec<u8>, Reject> {
        let id = frame.canister.id;
        let (mode, kind) =
            if frame.is_composite { (Mode::CompositeQuery, "composite_query") } else { (Mode::Query, "query") };
        let entry = Entry::Export(format!("canister_{kind} {method}"));
        let first = self.run(&mut frame, mode, entry, argument, None)?;
        let mut response = first.response;
        let mut pending: VecDeque<OutgoingCall> = first.calls.into();
        let mut failure = None;
        while let Some(call) = pending.pop_front() {
            frame.responded = response.is_some();
            match self.call(&mut frame, call) {
                Ok(effects) => {
                    response = response.or(effects.response);
                    pending.extend(effects.calls);
                }
                Err(reject) => failure = Some(reject),
            }
        }
        match response {
            Some(Ok(reply)) if reply.len() > limits::PAYLOAD_BYTES_MAX => {
                Err(rejects::reply_too_large(reply.len(), limits::PAYLOAD_BYTES_MAX))
            }
            Some(response) => response.map_err(rejects::by_canister),
            None => Err(failure.unwrap_or_else(|| rejects::did_not_reply(&id))),
        }
    }

    /// Asks another canister and runs the callback for its answer.
    fn call(&mut self, frame: &mut Frame, call: OutgoingCall) -> Result<Effects, Reject> {
        let sender = frame.canister.id;
        let OutgoingCall { callee: canister_id, method, argument, on_reply, on_reject, on_cleanup, .. } = call;
        let result = if self.calls_left == 0 {
            Err(rejects::composite_limit("calls"))
        } else if self.stack.len() >= limits::COMPOSITE_DEPTH_MAX {
            Err(rejects::composite_limit("depth"))
        } else {
            self.calls_left -= 1;
            self.ask(QueryCall { sender, caller_info: None, canister_id, method, argument }, None)
        };
        let outcome = match result {
            Ok(reply) => self.run(frame, Mode::CompositeReply, Entry::Callback(on_reply), reply, None),
            Err(reject) => self.run(frame, Mode::CompositeReject, Entry::Callback(on_reject), Vec::new(), Some(reject)),
        };
        outcome.inspect_err(|reject| {
            if let Some(cleanup) = on_cleanup {
                let entry = Entry::Callback(cleanup);
                let _ = self.run(frame, Mode::CompositeCleanup, entry, Vec::new(), Some(reject.clone()));
            }
        })
    }

    /// Runs one entry point; the memories it leaves are seen by the next run of the same question.
    fn run(
        &mut self,
        frame: &mut Frame,
        mode: Mode,
        entry: Entry,
        argument: Vec<u8>,
        reject: Option<Reject>,
    ) -> Result<Effects, Reject> {
        let id = frame.canister.id;
        let code = frame.canister.code.as_ref().ok_or_else(|| rejects::no_module(&id))?;
        let inputs = Inputs {
            caller: frame.caller,
            caller_info: frame.caller_info.clone(),
            argument: argument.into(),
            reject,
            deadline: frame.deadline,
            responded: frame.responded,
            balance: self.state.ledger.canister_balance(&id),
            frozen: charges::freezing_limit(self.state, &frame.canister),
            call_instructions: frame.instructions,
            instruction_limit: self.instructions_left,
            certificate: frame.certificate.clone(),
            prices: run::prices(self.state),
            ..Inputs::new(mode, frame.canister.clone(), self.state.subnet.clone(), self.state.time)
        };
        let ran = self.engine.run(Run {
            canister: id,
            code,
            entry,
            api: SystemApi::new(inputs),
            instructions: self.instructions_left,
            waking: 0,
            commit: frame.is_composite,
        });
        self.instructions_left = self.instructions_left.saturating_sub(ran.instructions);
        frame.instructions = frame.instructions.saturating_add(ran.instructions);
        ran.outcome.map_err(|trap| traps::reject(&id, &trap))?;
        let effects = ran.api.into_effects();
        if frame.is_composite {
            let mut canister = Canister::clone(&frame.canister);
            if let Some(code) = &mut canister.code {
                (code.heap, code.stable, code.stable_pages) = (ran.heap, effects.stable.clone(), effects.stable_pages);
            }
            frame.canister = Arc::new(canister);
        }
        Ok(effects)
    }
}
