//! KVM: the only place that speaks ioctl, and with [`cache`] the only one with `unsafe`.

mod cache;
pub mod clock;
pub mod control;
pub mod demand;
pub mod error;
pub mod exits;
pub mod gic;
pub mod memory;
pub mod plan;
pub mod regs;
pub mod tap;
pub mod vcpu;
pub mod vm;
pub mod window;
