//! Where the kernel will move itself to: found out by a second guest with the same files and the same device tree, in
//! which it gets as far as `start_kernel` and no further.
//!
//! The kernel computes its place from `/chosen/kaslr-seed`, differently in each version and configuration. Here it does
//! that itself. What runs up to there sees nothing of the machine but memory and its own CPU.

use boot::load;
use boot::placement::Placement;
use boot::source::Source;

use super::files::chain;
use crate::debug::scout;
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
    /// is where it will stay. An error says why it cannot be told.
    pub fn find(&self, offset: u64) -> Result<u64, String> {
        let found = self.run(offset)?;
        if !self.is_certain && self.run(offset)? != found {
            return Err("it is somewhere else each time".to_owned());
        }
        Ok(found)
    }

    fn run(&self, offset: u64) -> Result<u64, String> {
        let failed = |error: &dyn std::error::Error| chain(error);
        let vm = Vm::new(&Plan { vcpus: 1, ..self.plan.clone() }).map_err(|e| failed(&e))?;
        // It is not looked at before the kernel is where it will stay.
        let placement = Placement { initrd: None, ..self.placement };
        let state = load::load(vm.memory().ram(), &placement, &self.kernel, None, &self.dtb);
        let state = state.map_err(|e| failed(&e))?;
        let target = state.entry.saturating_add(offset);
        scout::reach(vm, (state.entry, state.dtb), target)
    }
}
