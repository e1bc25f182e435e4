//! GDB Remote Serial Protocol (RSP), sans-IO: bytes in, bytes out, a [`Target`] in between.
//!
//! ```text
//! bytes -> packet::Decoder -> Command::parse -> Session -> Target
//!                                                  |
//! bytes <- packet::encode  <-      Reply      <----+
//! ```
//!
//! Whoever owns the socket feeds what it read to [`Session::receive`], tells [`Session::stopped`]
//! when the target stops, and writes out what either appended. The crate knows no socket, no
//! thread, no hypervisor; the client's bytes are hostile until parsed and never panic it.
//!
//! "RSP manual" in these files is appendix E, "GDB Remote Serial Protocol", of *Debugging with
//! GDB*; the name after it is the section.
//!
//! docs/protocol.md lists every packet. Not here: non-stop mode, tracepoints, reverse execution,
//! `vFile`. Their packets get the empty reply, which says so (RSP manual, Overview).
#![forbid(unsafe_code)]

pub mod aarch64;
pub mod agent;
mod command;
pub mod description;
pub mod hex;
mod json;
pub mod packet;
pub mod protocol;
mod register_info;
mod reply;
pub mod session;
pub mod stop;
pub mod target;
mod target_xml;
#[cfg(test)]
mod testing;
mod thread_id;
mod thread_list;

pub use aarch64::{PacMask, Register, RegisterValue};
pub use agent::{Agent, Expression, Machine, Verdict};
pub use description::Description;
pub use session::{Flow, Session};
pub use stop::{Stop, StopReason};
pub use target::{
    Action, AddressBits, Kind, MemoryRegion, Permissions, Relocation, Space, Stoppoint, Target,
    TargetError, Tid,
};
