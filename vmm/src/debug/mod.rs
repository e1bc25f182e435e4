//! The debug engine: what becomes of a debug exception, and the GDB server on top of it.
//!
//! [`breakpoints`] and [`link`] are pure and build on any host. The rest needs KVM: `engine`, `step`, `region` and
//! `inject` work on the vCPUs' own threads; `server`, `transport`, `target` and `registers` on the main
//! one, while the vCPUs are parked; `memory` and `points` on both.

#[cfg(target_arch = "aarch64")]
pub mod backtrace;
pub mod breakpoints;
pub mod catches;
pub mod link;

#[cfg(target_arch = "aarch64")]
pub mod engine;
#[cfg(target_arch = "aarch64")]
mod hit;
#[cfg(target_arch = "aarch64")]
mod inject;
#[cfg(target_arch = "aarch64")]
pub mod kernel;
#[cfg(target_arch = "aarch64")]
mod memory;
mod monitor;
#[cfg(target_arch = "aarch64")]
mod points;
#[cfg(target_arch = "aarch64")]
mod region;
#[cfg(target_arch = "aarch64")]
pub mod registers;
#[cfg(target_arch = "aarch64")]
pub mod scout;
#[cfg(target_arch = "aarch64")]
pub mod server;
#[cfg(target_arch = "aarch64")]
mod step;
#[cfg(target_arch = "aarch64")]
pub mod target;
#[cfg(target_arch = "aarch64")]
pub mod transport;
