//! A guest that is run up to one place in physical memory, to see by which address it executes that.

use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::time::Duration;

use devices::bus::Bus;
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use crate::arch::esr::Class;
use crate::arch::insn;
use crate::kvm::control::{Control, Order, Peers, Runner, Trap, VcpuStop};
use crate::kvm::vcpu::{Exit, Traps, Vcpu};
use crate::kvm::vm::Vm;

/// A kernel gets to its C code in milliseconds; in an emulated host in a second or two.
const LIMIT: Duration = Duration::from_secs(10);

/// Of the BRK: none that Linux uses itself (arch/arm64/include/asm/brk-imm.h).
const IMMEDIATE: u16 = 0xb007;

/// Starts the first vCPU at an entry with a device tree, and returns PC when it gets to the instruction at the IPA
/// `target`. It has memory and no device. An error says why it does not get there.
pub fn reach(vm: Vm, (entry, dtb): (u64, u64), target: u64) -> Result<u64, String> {
    let brk = insn::BRK | u32::from(IMMEDIATE) << 5;
    if !vm.memory().write(target, &brk.to_le_bytes()) {
        return Err(format!("{target:#x} is not in memory"));
    }
    let bus = Arc::new(Bus::new(Box::new(|_| {})));
    let vcpus = vm.into_vcpus(entry, dtb, &bus).map_err(|error| error.to_string())?;
    let stops = EventFd::new(EFD_NONBLOCK).map_err(|error| error.to_string())?;
    let (sender, receiver) = mpsc::channel();
    let runner: Arc<dyn Runner> = Arc::new(Watch(sender));
    let control = Control::start(vcpus, &runner, &Arc::new(stops));
    let control = control.map_err(|error| error.to_string())?;
    control.resume([Some(Order::Continue)]);
    let found = receiver.recv_timeout(LIMIT);
    drop(control);
    found.map_err(|_| "it does not get that far".to_owned())?
}

/// Runs a vCPU up to the BRK, and tells where that was, or what came before.
struct Watch(Sender<Result<u64, String>>);

impl Runner for Watch {
    fn run(&self, vcpu: &mut Vcpu, peers: &Peers, _: Order) -> Option<VcpuStop> {
        let found = run_up(vcpu, peers)?;
        // Nobody waits any longer: nothing is lost.
        let _ = self.0.send(found);
        Some(VcpuStop::Trap(Trap::Breakpoint))
    }
}

/// PC at the BRK; `None` if it was kicked before that.
fn run_up(vcpu: &mut Vcpu, peers: &Peers) -> Option<Result<u64, String>> {
    if let Err(error) = vcpu.set_traps(&Traps { brk: true, ..Traps::default() }) {
        return Some(Err(error.to_string()));
    }
    loop {
        match vcpu.run() {
            Exit::Interrupted if peers.is_kicked() => return None,
            Exit::Interrupted => {}
            Exit::Debug { esr, .. }
                if esr.class() == Class::Brk && esr.brk_immediate() == IMMEDIATE =>
            {
                return Some(vcpu.pc().map_err(|error| error.to_string()));
            }
            exit => return Some(Err(format!("it ends before that: {exit:?}"))),
        }
    }
}
