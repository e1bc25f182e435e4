//! The Arm architecture as pure functions of registers and bytes: no KVM, no I/O, tested on any host.
//! Section numbers are those of the Arm Architecture Reference Manual for A-profile (DDI 0487).

pub mod attributes;
pub mod classes;
pub mod effect;
pub mod esr;
pub mod exception;
pub mod exclusive;
pub mod features;
pub mod flow;
pub mod gic;
pub mod insn;
pub mod kernel_tables;
pub mod known;
pub mod linux;
pub mod pauth;
pub mod pstate;
pub mod region;
pub mod reverse;
pub mod stage1;
pub mod sysreg;
pub mod tables;
pub mod timer;
pub mod watchpoint;
