//! The PL011 for a guest that reads and writes past it: its reads are answered from a copy of the registers, its
//! writes of UARTDR are noted, and the UART hears of them a little later.

use super::super::registers::{Register, int};
use super::Pl011;

impl Pl011 {
    /// Every register by its offset, as a read would return it now, without what else that would do.
    pub fn registers(&self) -> impl Iterator<Item = (u64, u32)> {
        let offsets = (0..=0x048).step_by(4).chain((0xfe0..=0xffc).step_by(4));
        offsets.filter_map(|offset| Some((offset, self.value(Register::at(offset)?))))
    }

    /// Whether nothing that the guest can do by reads, and by writes of UARTDR, makes a difference to what it reads
    /// or to its interrupt: both FIFOs are empty, what it sends leaves at once, and UARTTXINTR is raised already.
    ///
    /// Its looks at UARTFR would have been counted (see [`Pl011::polls`]), which matters to a guest that has not
    /// been found to poll yet, and that prints while it does: whoever answers reads in the UART's place lets
    /// it have some of them from time to time.
    pub fn is_steady(&self) -> bool {
        self.received.is_empty()
            && self.outgoing.is_empty()
            && !self.loops_back()
            && self.ris & int::TX != 0
    }

    /// Takes what the guest wrote to UARTDR while this was steady, and while [`Pl011::registers`] were what it read.
    ///
    /// Nothing is lost. What the host does not take waits in the transmit FIFO, be it deeper than that is. The
    /// guest has been told that there was room, and acts on that until it looks again: a whole FIFO's depth
    /// is taken beyond.
    pub fn send_posted(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if !self.polls() {
            self.idle_looks = 0;
        }
        self.outgoing.extend(bytes);
        self.flush();
        self.allowance = self.outgoing.len();
        self.drive_irq();
        self.invite_host();
    }
}
