//! The debug engine: what becomes of a debug exception, and the GDB server on top of it.
//!
//! [`breakpoints`] and [`watchpoints`] are pure and build on any host. The rest needs KVM:
//! `engine`, `step` and `inject` work on the vCPUs' own threads; `server`, `target`, `memory` and
//! `registers` on the main one, while the vCPUs are parked.

pub mod breakpoints;
pub mod watchpoints;

#[cfg(target_arch = "aarch64")]
pub mod engine;
#[cfg(target_arch = "aarch64")]
mod inject;
#[cfg(target_arch = "aarch64")]
mod memory;
#[cfg(target_arch = "aarch64")]
mod registers;
#[cfg(target_arch = "aarch64")]
pub mod server;
#[cfg(target_arch = "aarch64")]
mod step;
#[cfg(target_arch = "aarch64")]
pub mod target;
