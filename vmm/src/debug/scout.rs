//! A guest that is run up to one place in physical memory, to see by which address it executes that.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::time::Duration;

use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use crate::arch::esr::Class;
use crate::arch::insn;
use crate::kvm::control::{Control, Order, Peers, Runner, Trap, VcpuStop};
use crate::kvm::vcpu::{Exit, Traps, Vcpu};

/// A kernel gets to its C code in milliseconds; in an emulated host in a second or two.
const LIMIT: Duration = Duration::from_secs(10);

/// Of the BRK: none that Linux uses itself (arch/arm64/include/asm/brk-imm.h).
const IMMEDIATE: u16 = 0xb007;

/// What stands at the place.
pub const BRK: u32 = insn::BRK | (IMMEDIATE as u32) << 5;

/// A scout's way to tell what it has found: the address, or why there is none.
pub type Report = Result<u64, String>;

/// Runs the vCPU of a guest of its own until it gets to a [`BRK`], and returns PC there. An error says why it does not
/// get there. Who has the other end of `reports` too may end it by a report.
pub fn run(vcpus: Vec<Vcpu>, reports: &(Sender<Report>, Receiver<Report>)) -> Report {
    let (sender, receiver) = reports;
    let stops = EventFd::new(EFD_NONBLOCK).map_err(|error| error.to_string())?;
    let runner: Arc<dyn Runner> = Arc::new(Watch(sender.clone()));
    let control = Control::start(vcpus, &runner, &Arc::new(stops));
    let control = control.map_err(|error| error.to_string())?;
    control.resume([Some(Order::Continue)]);
    receiver.recv_timeout(LIMIT).unwrap_or_else(|_| Err("it does not get that far".to_owned()))
}

/// Runs a vCPU up to the BRK, and tells where that was, or what came before.
struct Watch(Sender<Report>);

impl Runner for Watch {
    fn run(&self, vcpu: &mut Vcpu, peers: &Peers, _: Order) -> Option<VcpuStop> {
        let found = run_up(vcpu, peers)?;
        // Nobody waits any longer: nothing is lost.
        let _ = self.0.send(found);
        Some(VcpuStop::Trap(Trap::Breakpoint))
    }
}

/// PC at the BRK; `None` if it was kicked before that.
fn run_up(vcpu: &mut Vcpu, peers: &Peers) -> Option<Report> {
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
