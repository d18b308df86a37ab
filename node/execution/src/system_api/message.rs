//! The message at work: argument, caller, rejects, answers, inspection.

use super::{Modes, REJECT_MESSAGE_BYTES_MAX, SystemApi, heap};
use crate::engine::Trap;
use mains_types::limits;

/// Cuts a text to at most `bytes`, at a character's boundary.
pub(super) fn truncate(text: &mut String, bytes: usize) {
    if text.len() > bytes {
        let mut end = bytes;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
    }
}

impl SystemApi {
    /// Bytes of the argument (in a reply callback: of the reply).
    pub fn msg_arg_data_size(&mut self) -> Result<u64, Trap> {
        self.enter("msg_arg_data_size", Modes::ARGUMENT)?;
        Ok(self.inputs.argument.len() as u64)
    }

    /// Copies a part of the argument.
    pub fn msg_arg_data_copy(&mut self, heap: &mut [u8], dst: u64, offset: u64, size: u64) -> Result<(), Trap> {
        self.enter("msg_arg_data_copy", Modes::ARGUMENT)?;
        self.charge_bytes(size)?;
        heap::copy("msg_arg_data_copy", heap, dst, &self.inputs.argument, offset, size)
    }

    /// Bytes of the caller's principal.
    pub fn msg_caller_size(&mut self) -> Result<u64, Trap> {
        self.enter("msg_caller_size", Modes::NOT_START)?;
        Ok(self.inputs.caller.as_slice().len() as u64)
    }

    /// Copies a part of the caller's principal.
    pub fn msg_caller_copy(&mut self, heap: &mut [u8], dst: u64, offset: u64, size: u64) -> Result<(), Trap> {
        self.enter("msg_caller_copy", Modes::NOT_START)?;
        self.charge_bytes(size)?;
        heap::copy("msg_caller_copy", heap, dst, self.inputs.caller.as_slice(), offset, size)
    }

    /// Bytes of what a canister says about the caller; 0 if none does.
    pub fn msg_caller_info_data_size(&mut self) -> Result<u64, Trap> {
        self.enter("msg_caller_info_data_size", Modes::NOT_START)?;
        Ok(self.caller_info_data().len() as u64)
    }

    /// Copies a part of what a canister says about the caller.
    pub fn msg_caller_info_data_copy(&mut self, heap: &mut [u8], dst: u64, offset: u64, size: u64) -> Result<(), Trap> {
        self.enter("msg_caller_info_data_copy", Modes::NOT_START)?;
        self.charge_bytes(size)?;
        heap::copy("msg_caller_info_data_copy", heap, dst, self.caller_info_data(), offset, size)
    }

    /// Bytes of the principal of the canister that says it; 0 if none does.
    pub fn msg_caller_info_signer_size(&mut self) -> Result<u64, Trap> {
        self.enter("msg_caller_info_signer_size", Modes::NOT_START)?;
        Ok(self.caller_info_signer().len() as u64)
    }

    /// Copies a part of the principal of the canister that says it.
    pub fn msg_caller_info_signer_copy(
        &mut self,
        heap: &mut [u8],
        dst: u64,
        offset: u64,
        size: u64,
    ) -> Result<(), Trap> {
        self.enter("msg_caller_info_signer_copy", Modes::NOT_START)?;
        self.charge_bytes(size)?;
        heap::copy("msg_caller_info_signer_copy", heap, dst, self.caller_info_signer(), offset, size)
    }

    fn caller_info_data(&self) -> &[u8] {
        self.inputs.caller_info.as_ref().map_or(&[], |info| &info.info)
    }

    fn caller_info_signer(&self) -> &[u8] {
        self.inputs.caller_info.as_ref().map_or(&[], |info| info.signer.as_slice())
    }

    /// The reject code of the response, 0 for a reply.
    pub fn msg_reject_code(&mut self) -> Result<u32, Trap> {
        self.enter("msg_reject_code", Modes::REJECT_CODE)?;
        Ok(self.inputs.reject.as_ref().map_or(0, |reject| u32::from(reject.code as u8)))
    }

    /// Bytes of the reject message.
    pub fn msg_reject_msg_size(&mut self) -> Result<u64, Trap> {
        self.enter("msg_reject_msg_size", Modes::REJECT_MESSAGE)?;
        Ok(self.inputs.reject.as_ref().map_or(0, |reject| reject.message.len() as u64))
    }

    /// Copies a part of the reject message.
    pub fn msg_reject_msg_copy(&mut self, heap: &mut [u8], dst: u64, offset: u64, size: u64) -> Result<(), Trap> {
        self.enter("msg_reject_msg_copy", Modes::REJECT_MESSAGE)?;
        self.charge_bytes(size)?;
        let message = self.inputs.reject.as_ref().map_or("", |reject| &reject.message);
        heap::copy("msg_reject_msg_copy", heap, dst, message.as_bytes(), offset, size)
    }

    /// When the caller stops waiting for an answer, nanoseconds; 0 if it waits as long as it takes.
    pub fn msg_deadline(&mut self) -> Result<u64, Trap> {
        self.enter("msg_deadline", Modes::DEADLINE)?;
        Ok(self.inputs.deadline.map_or(0, |deadline| deadline.get()))
    }

    /// Appends to the reply.
    pub fn msg_reply_data_append(&mut self, heap: &mut [u8], src: u64, size: u64) -> Result<(), Trap> {
        self.enter("msg_reply_data_append", Modes::ANSWER)?;
        self.require_unanswered("msg_reply_data_append")?;
        self.charge_bytes(size)?;
        let data = heap::read(heap, src, size)?;
        if self.reply.len() + data.len() > limits::PAYLOAD_BYTES_MAX {
            return Err(Trap::Contract(format!(
                "ic0.msg_reply_data_append: a reply has at most {} bytes, this one {}",
                limits::PAYLOAD_BYTES_MAX,
                self.reply.len() + data.len()
            )));
        }
        self.reply.extend_from_slice(data);
        Ok(())
    }

    /// Replies with what was appended.
    pub fn msg_reply(&mut self) -> Result<(), Trap> {
        self.enter("msg_reply", Modes::ANSWER)?;
        self.require_unanswered("msg_reply")?;
        self.answer(Ok(()))
    }

    /// Rejects the call with a text of UTF-8.
    pub fn msg_reject(&mut self, heap: &mut [u8], src: u64, size: u64) -> Result<(), Trap> {
        self.enter("msg_reject", Modes::ANSWER)?;
        self.require_unanswered("msg_reject")?;
        self.charge_bytes(size)?;
        let text = heap::read(heap, src, size)?;
        let Ok(text) = std::str::from_utf8(text) else {
            return Err(Trap::Contract("ic0.msg_reject: the message is not valid UTF-8".into()));
        };
        let mut text = text.to_owned();
        truncate(&mut text, REJECT_MESSAGE_BYTES_MAX);
        self.answer(Err(text))
    }

    /// Bytes of the inspected method's name.
    pub fn msg_method_name_size(&mut self) -> Result<u64, Trap> {
        self.enter("msg_method_name_size", Modes::INSPECT)?;
        Ok(self.inputs.method.len() as u64)
    }

    /// Copies a part of the inspected method's name.
    pub fn msg_method_name_copy(&mut self, heap: &mut [u8], dst: u64, offset: u64, size: u64) -> Result<(), Trap> {
        self.enter("msg_method_name_copy", Modes::INSPECT)?;
        self.charge_bytes(size)?;
        heap::copy("msg_method_name_copy", heap, dst, self.inputs.method.as_bytes(), offset, size)
    }

    /// Accepts the inspected message; once.
    pub fn accept_message(&mut self) -> Result<(), Trap> {
        self.enter("accept_message", Modes::INSPECT)?;
        if self.message_accepted {
            return Err(Trap::Contract("ic0.accept_message: the message was accepted before".into()));
        }
        self.message_accepted = true;
        Ok(())
    }

    fn require_unanswered(&self, function: &'static str) -> Result<(), Trap> {
        if self.inputs.responded || self.response.is_some() {
            return Err(Trap::Contract(format!("ic0.{function}: the call was already answered")));
        }
        Ok(())
    }

    fn answer(&mut self, outcome: Result<(), String>) -> Result<(), Trap> {
        let reply = std::mem::take(&mut self.reply);
        self.response = Some(outcome.map(|()| reply));
        // What was not accepted by now goes back with the answer.
        self.inputs.available = mains_types::Cycles::ZERO;
        Ok(())
    }
}
