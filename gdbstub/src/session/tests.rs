//! By topic: `connection` (framing, acknowledgment, what is negotiated), `inspection` (threads,
//! registers, memory, documents), `control` (stoppoints, resuming, stopping, ending), `life`
//! (extended mode), `monitor`, `lldb`, `hostile`.

mod connection;
mod control;
mod hostile;
mod inspection;
mod life;
mod lldb;
mod looking;
mod monitor;
