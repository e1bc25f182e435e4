//! Where the kernel will move itself to: found out by a second guest with the same files and the same device tree, in
//! which it gets as far as `start_kernel` and no further.
//!
//! The kernel computes its place from `/chosen/kaslr-seed`, differently in each version and configuration. Here it does
//! that itself. What runs up to there sees nothing of the machine but memory and its own CPU. It takes longer than
//! debuggers wait for an answer, more so if the kernel hangs before, so it is begun before they ask.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};

use boot::load;
use boot::placement::Placement;
use boot::source::Source;
use devices::bus::Bus;

use super::files::chain;
use crate::debug::scout::{self, Report};
use crate::kvm::plan::Plan;
use crate::kvm::vm::Vm;

/// What the second guest is made from.
pub struct Scout {
    /// The first one's.
    pub plan: Plan,
    /// The first one's.
    pub kernel: Source,
    /// The first one's.
    pub placement: Placement,
    /// The first one's.
    pub dtb: Vec<u8>,
    /// Whether there is nothing but the device tree for the kernel's choice to depend on. Otherwise it is
    /// believed if it chooses twice alike.
    pub is_certain: bool,
}

impl Scout {
    /// The virtual address of what is `offset` behind the start of the Image and is executed once the kernel
    /// is where it will stay. An error says why it cannot be told, or what was sent to `reports`.
    pub fn find(&self, offset: u64, reports: &(Sender<Report>, Receiver<Report>)) -> Report {
        let found = self.run(offset, reports)?;
        if !self.is_certain && self.run(offset, reports)? != found {
            return Err("it is somewhere else each time".to_owned());
        }
        Ok(found)
    }

    fn run(&self, offset: u64, reports: &(Sender<Report>, Receiver<Report>)) -> Report {
        let failed = |error: &dyn std::error::Error| chain(error);
        let vm = Vm::new(&Plan { vcpus: 1, ..self.plan.clone() }).map_err(|e| failed(&e))?;
        // It is not looked at before the kernel is where it will stay.
        let placement = Placement { initrd: None, ..self.placement };
        let state = load::load(vm.memory(), &placement, &self.kernel, None, &self.dtb);
        let state = state.map_err(|e| failed(&e))?;
        let target = state.entry.saturating_add(offset);
        if !vm.memory().write(target, &scout::BRK.to_le_bytes()) {
            return Err(format!("{target:#x} is not in memory"));
        }
        let bus = Arc::new(Bus::new(Box::new(|_| {})));
        let vcpus = vm.into_vcpus(state.entry, state.dtb, &bus).map_err(|e| failed(&e))?;
        scout::run(vcpus, reports)
    }
}
