//! Time, timer, counters, certified data, printing and giving up.

use super::{Modes, REJECT_MESSAGE_BYTES_MAX, SystemApi, heap, message};
use crate::engine::Trap;
use mains_types::{UnixNanos, limits};

impl SystemApi {
    /// Block time, nanoseconds since 1970.
    pub fn time(&mut self) -> Result<u64, Trap> {
        self.enter("time", Modes::NOT_START)?;
        Ok(self.inputs.time.get())
    }

    /// Sets when `canister_global_timer` runs (0: never) and returns what was set before (0: nothing).
    pub fn global_timer_set(&mut self, timestamp: u64) -> Result<u64, Trap> {
        self.enter("global_timer_set", Modes::TIMER)?;
        let before = self.global_timer.unwrap_or(self.inputs.canister.global_timer);
        self.global_timer = Some((timestamp != 0).then_some(UnixNanos(timestamp)));
        Ok(before.map_or(0, UnixNanos::get))
    }

    /// Instructions: of this run (type 0), of all runs of the call at work (type 1).
    pub fn performance_counter(&mut self, counter_type: u32, used: u64) -> Result<u64, Trap> {
        self.enter("performance_counter", Modes::EVERYWHERE)?;
        match counter_type {
            0 => Ok(used),
            1 => Ok(self.inputs.call_instructions.saturating_add(used)),
            other => Err(Trap::Contract(format!("ic0.performance_counter: there is no counter type {other}"))),
        }
    }

    /// Whether all replicas run this: 1 or 0.
    pub fn in_replicated_execution(&mut self) -> Result<u32, Trap> {
        self.enter("in_replicated_execution", Modes::EVERYWHERE)?;
        Ok(u32::from(self.inputs.replicated))
    }

    /// Sets the data that certificates carry for this canister, at most 32 bytes.
    pub fn certified_data_set(&mut self, heap: &mut [u8], src: u64, size: u64) -> Result<(), Trap> {
        self.enter("certified_data_set", Modes::CERTIFY)?;
        if size > limits::CERTIFIED_DATA_BYTES_MAX as u64 {
            return Err(Trap::Contract(format!(
                "ic0.certified_data_set: at most {} bytes, not {size}",
                limits::CERTIFIED_DATA_BYTES_MAX
            )));
        }
        self.charge_bytes(size)?;
        self.certified_data = Some(heap::read(heap, src, size)?.to_vec());
        Ok(())
    }

    /// Whether there is a certificate to read: 1 or 0.
    pub fn data_certificate_present(&mut self) -> Result<u32, Trap> {
        self.enter("data_certificate_present", Modes::NOT_START)?;
        Ok(u32::from(Modes::CERTIFICATE.contains(self.inputs.mode) && self.inputs.certificate.is_some()))
    }

    /// Bytes of the certificate.
    pub fn data_certificate_size(&mut self) -> Result<u64, Trap> {
        self.enter("data_certificate_size", Modes::CERTIFICATE)?;
        Ok(self.certificate("data_certificate_size")?.len() as u64)
    }

    /// Copies a part of the certificate.
    pub fn data_certificate_copy(&mut self, heap: &mut [u8], dst: u64, offset: u64, size: u64) -> Result<(), Trap> {
        self.enter("data_certificate_copy", Modes::CERTIFICATE)?;
        self.charge_bytes(size)?;
        heap::copy("data_certificate_copy", heap, dst, self.certificate("data_certificate_copy")?, offset, size)
    }

    /// Prints a line to the canister's log. Keeps the latest lines if they do not fit.
    pub fn debug_print(&mut self, heap: &mut [u8], src: u64, size: u64) -> Result<(), Trap> {
        self.enter("debug_print", Modes::EVERYWHERE)?;
        let line = heap::read(heap, src, size)?;
        let kept = &line[..line.len().min(limits::LOG_BYTES_MAX)];
        self.charge_bytes(kept.len() as u64)?;
        self.print(kept.to_vec());
        Ok(())
    }

    /// Gives up with a message.
    ///
    /// # Errors
    /// Always [`Trap::Called`].
    pub fn trap(&mut self, heap: &mut [u8], src: u64, size: u64) -> Result<(), Trap> {
        self.enter("trap", Modes::EVERYWHERE)?;
        let text = heap::read(heap, src, size)?;
        let kept = &text[..text.len().min(REJECT_MESSAGE_BYTES_MAX)];
        self.charge_bytes(kept.len() as u64)?;
        let mut text = String::from_utf8_lossy(kept).into_owned();
        message::truncate(&mut text, REJECT_MESSAGE_BYTES_MAX);
        Err(Trap::Called(text))
    }

    fn certificate(&self, function: &'static str) -> Result<&[u8], Trap> {
        self.inputs.certificate.as_deref().ok_or_else(|| {
            Trap::Contract(format!("ic0.{function}: there is no certificate, ask ic0.data_certificate_present"))
        })
    }

    fn print(&mut self, line: Vec<u8>) {
        self.log_bytes += line.len();
        self.log.push_back(line);
        while self.log_bytes > limits::LOG_BYTES_MAX || self.log.len() > limits::LOG_BYTES_MAX {
            self.log_bytes -= self.log.pop_front().map_or(0, |line| line.len());
        }
    }
}
