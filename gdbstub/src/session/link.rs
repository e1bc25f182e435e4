//! Acknowledgment (RSP manual, Packet Acknowledgment).

use crate::packet;

/// As often as GDB itself tries.
const RETRANSMISSIONS: u8 = 3;

/// The sending half of the connection.
#[derive(Debug)]
pub struct Link {
    /// Until `QStartNoAckMode`.
    acknowledging: bool,
    /// The packet that may have to be sent again; empty once it arrived.
    last: Vec<u8>,
    /// How often it was sent again. Bounded, for each `-` of one byte costs a whole packet.
    retransmissions: u8,
}

impl Default for Link {
    fn default() -> Self {
        Self { acknowledging: true, last: Vec::new(), retransmissions: 0 }
    }
}

impl Link {
    /// A packet came whole.
    pub fn accept(&self, out: &mut Vec<u8>) {
        if self.acknowledging {
            out.push(b'+');
        }
    }

    /// A packet came damaged. Returns whether the client was told; without acknowledgment there
    /// is no way to, and only an error reply keeps it from waiting for ever.
    pub fn refuse(&self, out: &mut Vec<u8>) -> bool {
        if self.acknowledging {
            out.push(b'-');
        }
        self.acknowledging
    }

    /// Sends a packet with this data.
    pub fn send(&mut self, data: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        packet::encode(data, out);
        if self.acknowledging {
            self.last.clear();
            self.last.extend(out.iter().skip(start));
            self.retransmissions = 0;
        }
    }

    /// The last packet arrived.
    pub fn arrived(&mut self) {
        self.last.clear();
    }

    /// The last packet did not arrive.
    pub fn send_again(&mut self, out: &mut Vec<u8>) {
        if self.retransmissions < RETRANSMISSIONS {
            self.retransmissions += 1;
            out.extend(&self.last);
        }
    }

    /// From here on the transport is trusted.
    pub fn stop_acknowledging(&mut self) {
        self.acknowledging = false;
        self.last = Vec::new();
    }
}
