//! Console device (specification, 5.3), in two forms:
//!
//! - A [`Terminal`] is a console and nothing else: one port, and the size of what shows it in the configuration space. Linux
//!   has it as `hvc0`.
//! - [`Channels`] are named ports without a console (VIRTIO_CONSOLE_F_MULTIPORT), each with a Unix socket of the host's. Linux
//!   has them as `vport*`.
//!
//! They are two devices and not one because drivers do not agree on how a device with several ports tells a console's size:
//! columns first, as the specification has it, or rows first, as Linux had it before and after 6.16. In the
//! configuration space of a device with one port all read the same. Port 0 of the channels, which drivers take for a console, stays
//! unused, as with QEMU.

mod bell;
mod channels;
mod control;
mod pump;
mod socket;
mod terminal;
#[cfg(test)]
mod tests;

pub use bell::Bell;
pub use channels::{Channels, Face as ChannelsFace, MOST as MOST_CHANNELS};
pub use socket::Socket;
pub use terminal::{Console, Face as TerminalFace, Size, Terminal};

const ID: u32 = 3;
/// Descriptors of a queue. Linux fills those for receiving with a page each.
const QUEUE: u16 = 64;
/// Queues of port 0.
const RECEIVE: usize = 0;
const TRANSMIT: usize = 1;
