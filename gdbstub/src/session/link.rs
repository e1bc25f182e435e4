//! Acknowledgment (RSP manual, Packet Acknowledgment).

use std::collections::VecDeque;

use crate::packet;

/// As often as GDB itself tries.
const RETRANSMISSIONS: u8 = 3;

/// The sending half of the connection.
#[derive(Debug)]
pub struct Link {
    /// Until `QStartNoAckMode`.
    acknowledging: bool,
    /// The packet that is on its way, and behind it those that wait for it to arrive.
    queue: VecDeque<Vec<u8>>,
    /// How often the first one was sent again. Bounded, for each `-` of one byte costs a whole
    /// packet.
    retransmissions: u8,
}

impl Default for Link {
    fn default() -> Self {
        Self { acknowledging: true, queue: VecDeque::new(), retransmissions: 0 }
    }
}

impl Link {
    /// A packet came whole. A client that asks on has all it wanted of what was sent before.
    pub fn accept(&mut self, out: &mut Vec<u8>) {
        if self.acknowledging {
            out.push(b'+');
            self.queue.drain(..).skip(1).for_each(|packet| out.extend(packet));
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

    /// Sends a packet with this data, when those before it have arrived.
    pub fn send(&mut self, data: &[u8], out: &mut Vec<u8>) {
        if !self.acknowledging {
            packet::encode(data, out);
            return;
        }
        let mut packet = Vec::new();
        packet::encode(data, &mut packet);
        self.queue.push_back(packet);
        if self.queue.len() == 1 {
            self.send_first(out);
        }
    }

    /// Whether all that was sent has arrived, as far as can be told.
    pub fn is_idle(&self) -> bool {
        self.queue.is_empty()
    }

    fn send_first(&mut self, out: &mut Vec<u8>) {
        self.retransmissions = 0;
        out.extend(self.queue.front().into_iter().flatten());
    }

    /// The packet on its way arrived.
    pub fn arrived(&mut self, out: &mut Vec<u8>) {
        self.queue.pop_front();
        self.send_first(out);
    }

    /// The packet on its way did not arrive.
    pub fn send_again(&mut self, out: &mut Vec<u8>) {
        if self.retransmissions < RETRANSMISSIONS {
            self.retransmissions += 1;
            out.extend(self.queue.front().into_iter().flatten());
        }
    }

    /// From here on the transport is trusted.
    pub fn stop_acknowledging(&mut self) {
        self.acknowledging = false;
        self.queue = VecDeque::new();
    }
}
