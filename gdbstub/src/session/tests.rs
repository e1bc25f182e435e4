//! By topic: `connection` (framing, acknowledgment, what is negotiated), `inspection` (threads,
//! registers, memory, documents), `control` (stoppoints, resuming, stopping, ending), `hostile`.

mod connection;
mod control;
mod hostile;
mod inspection;
