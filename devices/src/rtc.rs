//! PL031 real-time clock (ARM DDI 0224), by vm-superio.
//!
//! The guest reads wall-clock seconds since 1970 from RTCDR and may set its own by RTCLR.
//!
//! Not emulated: the alarm. RTCMR holds what was written, but no match ever raises an interrupt, so the
//! device has no interrupt line; RTCRIS and RTCMIS stay 0.

use std::cell::Cell;

use vm_superio::Rtc;
use vm_superio::rtc_pl031::RtcEvents;

use crate::bus::{Device, Refused};

#[cfg(test)]
mod tests;

/// A PL031 that starts at the host's time. Registers take 32-bit accesses only.
pub struct Pl031 {
    rtc: Rtc<Invalid>,
}

impl Pl031 {
    /// A clock as after reset, set to the host's time.
    pub fn new() -> Self {
        Self { rtc: Rtc::with_events(Invalid::default()) }
    }

    fn outcome(&self) -> Result<(), Refused> {
        if self.rtc.events().0.take() {
            Err(Refused("no such register, or not in this direction"))
        } else {
            Ok(())
        }
    }
}

impl Default for Pl031 {
    fn default() -> Self {
        Self::new()
    }
}

impl Device for Pl031 {
    fn read(&mut self, offset: u64, data: &mut [u8]) -> Result<(), Refused> {
        let data = data.try_into().map_err(|_| NOT_A_WORD)?;
        self.rtc.read(register(offset)?, data);
        self.outcome()
    }

    fn write(&mut self, offset: u64, data: &[u8]) -> Result<(), Refused> {
        let data = data.try_into().map_err(|_| NOT_A_WORD)?;
        self.rtc.write(register(offset)?, data);
        self.outcome()
    }
}

const NOT_A_WORD: Refused = Refused("registers take aligned 4-byte accesses only");

fn register(offset: u64) -> Result<u16, Refused> {
    if !offset.is_multiple_of(4) {
        return Err(NOT_A_WORD);
    }
    u16::try_from(offset).map_err(|_| Refused("no such register"))
}

/// Whether vm-superio found the access invalid; it has no other way to say so.
#[derive(Default)]
struct Invalid(Cell<bool>);

impl RtcEvents for Invalid {
    fn invalid_read(&self) {
        self.0.set(true);
    }

    fn invalid_write(&self) {
        self.0.set(true);
    }
}
