//! One vCPU: registers, and KVM_RUN until something happens that KVM and the bus cannot handle.
#![expect(unsafe_code, reason = "kvm_run's immediate_exit is written from other threads")]

mod registers;

use std::fmt::{self, Write as _};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use devices::bus::Bus;
use kvm_bindings::{
    KVM_GUESTDBG_ENABLE, KVM_GUESTDBG_SINGLESTEP, KVM_GUESTDBG_USE_HW, KVM_GUESTDBG_USE_SW_BP,
    KVM_MP_STATE_STOPPED, KVM_SYSTEM_EVENT_CRASH, KVM_SYSTEM_EVENT_RESET,
    KVM_SYSTEM_EVENT_SHUTDOWN, kvm_guest_debug, kvm_guest_debug_arch,
};
use kvm_ioctls::{VcpuExit, VcpuFd};

use self::registers::IdRegisters;
use super::clock;
use super::error::{Error, doing};
use super::exits::{Count, Exits, Reason};
use super::regs;
use super::vm::Machine;
use crate::arch::esr::Esr;
use crate::arch::kernel_tables::KernelTables;
use crate::arch::known::Known;
use crate::arch::pstate::Level;
use crate::arch::stage1::SCTLR_M;

/// Why KVM_RUN came back for good.
#[derive(Debug)]
pub enum Exit {
    /// Somebody kicked the vCPU. Nothing is pending: a trapped access before it is complete.
    Interrupted,
    /// A debug exception that KVM routed to us.
    Debug {
        /// Syndrome, with the lower-EL class.
        esr: Esr,
        /// Faulting address; meaningful for watchpoints only.
        far: u64,
    },
    /// The guest asked for this through PSCI.
    System(SystemEvent),
    /// Nobody can handle this; says what it was.
    Unhandled(String),
}

/// KVM_EXIT_SYSTEM_EVENT (api.rst 5).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SystemEvent {
    /// PSCI SYSTEM_OFF.
    Shutdown,
    /// PSCI SYSTEM_RESET or SYSTEM_RESET2.
    Reset,
}

/// What KVM_RUN traps for a debugger (KVM_SET_GUEST_DEBUG). The default is nothing at all: debug
/// exceptions, debug registers and single-step are the guest's own.
#[derive(Clone, Copy, PartialEq, Default)]
pub struct Traps {
    /// Every BRK and BKPT, the guest's own too.
    pub brk: bool,
    /// DBGBCR/DBGBVR and DBGWCR/DBGWVR, in place of the guest's.
    pub registers: Option<kvm_guest_debug_arch>,
    /// A software step.
    pub step: bool,
}

/// Every how many trapped accesses TTBR1_EL1 is looked at.
const ACCESSES_PER_LOOK: u32 = 64;

/// KVM_DEBUG_ARCH_HSR_HIGH_VALID in `kvm_run.flags`.
const HSR_HIGH_VALID: u16 = 1 << 0;

/// One vCPU.
pub struct Vcpu {
    fd: VcpuFd,
    // Behind `fd`, so that no vCPU is left when it goes.
    #[expect(dead_code, reason = "held, not used")]
    machine: Machine,
    bus: Arc<Bus>,
    index: usize,
    has_sve: bool,
    ids: IdRegisters,
    known: Known,
    /// What KVM was last told to trap; `None` if that is not certain.
    traps: Option<Traps>,
    /// Trapped accesses so far.
    accesses: u32,
    kernel_tables: KernelTables,
    exits: Exits,
}

/// Another thread's handle to make a vCPU leave the guest.
pub struct Kick(NonNull<AtomicU8>);

// SAFETY: points into the kvm_run page, which the kernel reads and any thread may write at any
// time. minivmm touches this byte through the atomic only, once the vCPU's thread runs.
unsafe impl Send for Kick {}
// SAFETY: as above.
unsafe impl Sync for Kick {}

impl Kick {
    fn flag(&self) -> &AtomicU8 {
        // SAFETY: kvm_run stays mapped as long as the VcpuFd, which lives in the same slot.
        unsafe { self.0.as_ref() }
    }

    /// The next KVM_RUN returns at once; one under way needs a signal too.
    pub fn raise(&self) {
        self.flag().store(1, Ordering::SeqCst);
    }

    /// Allows the guest in again.
    pub fn clear(&self) {
        self.flag().store(0, Ordering::SeqCst);
    }

    /// Whether the vCPU has been asked to leave.
    pub fn is_raised(&self) -> bool {
        self.flag().load(Ordering::SeqCst) != 0
    }
}

impl Vcpu {
    /// Wraps an initialized vCPU.
    pub(super) fn new(
        fd: VcpuFd,
        machine: Machine,
        bus: Arc<Bus>,
        index: usize,
        has_sve: bool,
    ) -> Result<Self, Error> {
        let exits = Exits::new(bus.names().len());
        let mut vcpu = Self {
            fd,
            machine,
            bus,
            index,
            has_sve,
            ids: IdRegisters::default(),
            known: Known::default(),
            traps: None,
            accesses: 0,
            kernel_tables: KernelTables::default(),
            exits,
        };
        vcpu.ids = IdRegisters::of(&vcpu)?;
        Ok(vcpu)
    }

    /// Position among the vCPUs; 0 boots.
    pub fn index(&self) -> usize {
        self.index
    }

    /// The handle that stops [`Self::run`]. It must not outlive the vCPU.
    pub fn kick(&mut self) -> Kick {
        Kick(NonNull::from(&mut self.fd.get_kvm_run().immediate_exit).cast())
    }

    /// Runs the guest; trapped accesses go to the bus and the guest goes on.
    pub fn run(&mut self) -> Exit {
        loop {
            if let Err(error) = self.tell_masks() {
                return Exit::Unhandled(error.to_string());
            }
            self.known.forget();
            self.exits.settle();
            let result = self.fd.run();
            let back = clock::ticks();
            let (reason, exit) = match result {
                Ok(VcpuExit::MmioRead(ipa, data)) => (Reason::Read(self.bus.read(ipa, data)), None),
                Ok(VcpuExit::MmioWrite(ipa, data)) => {
                    (Reason::Write(self.bus.write(ipa, data)), None)
                }
                Ok(VcpuExit::Debug(debug)) => {
                    // Before 5.19 the kernel leaves hsr_high to what was there before.
                    let has_high = self.fd.get_kvm_run().flags & HSR_HIGH_VALID != 0;
                    let high = if has_high { u64::from(debug.hsr_high) << 32 } else { 0 };
                    let esr = Esr(high | u64::from(debug.hsr));
                    (Reason::Debug(esr), Some(Exit::Debug { esr, far: debug.far }))
                }
                Ok(VcpuExit::SystemEvent(kind, _)) => (Reason::System, Some(system_event(kind))),
                Ok(other) => (Reason::Other, Some(Exit::Unhandled(format!("KVM exit {other:?}")))),
                // A trapped access is finished by the entry that this interrupted.
                Err(errno) if errno.errno() == libc::EINTR => {
                    (Reason::Interrupted, Some(Exit::Interrupted))
                }
                Err(errno) if errno.errno() == libc::EAGAIN => (Reason::Other, None),
                Err(errno) => (Reason::Other, Some(Exit::Unhandled(failure(errno)))),
            };
            self.exits.came_back(reason, back);
            match exit {
                Some(exit) => return exit,
                None => self.count_access(),
            }
        }
    }

    /// What [`Self::run`] has come back from the guest for since the start, or the last reset.
    pub fn exits(&self) -> impl Iterator<Item = (String, Count)> {
        self.exits.iter(self.bus.names())
    }

    /// Forgets them.
    pub fn reset_exits(&mut self) {
        self.exits.reset();
    }

    /// The vCPU parks: the time until it runs again is nobody's.
    pub fn pause(&mut self) {
        self.exits.settle();
    }

    /// The devices have seen all that the guest has written, as far as it has run.
    pub fn catch_up(&self) {
        self.bus.catch_up();
    }

    /// Devices are accessed from EL1 as a rule, so this is where TTBR1_EL1 is the kernel's, for a
    /// debugger that comes later and finds the vCPU at EL0.
    fn count_access(&mut self) {
        self.accesses = self.accesses.wrapping_add(1);
        if self.accesses.is_multiple_of(ACCESSES_PER_LOOK) {
            // Only a help for later.
            let _ = self.note_kernel_table();
        }
    }

    /// Remembers TTBR1_EL1 if the vCPU is at EL1 and translates.
    pub fn note_kernel_table(&mut self) -> Result<(), Error> {
        if self.pstate()?.level() == Level::El1 && self.get(regs::SCTLR_EL1)? & SCTLR_M != 0 {
            let table = self.get(regs::TTBR1_EL1)?;
            self.kernel_tables.note(table);
        }
        Ok(())
    }

    /// TTBR1_EL1 as seen at EL1.
    pub fn kernel_tables(&self) -> KernelTables {
        self.kernel_tables
    }

    /// Sets what KVM_RUN traps for the debugger.
    pub fn set_traps(&mut self, traps: &Traps) -> Result<(), Error> {
        if self.traps.as_ref() == Some(traps) {
            return Ok(());
        }
        let mut request = kvm_guest_debug::default();
        if let Some(registers) = traps.registers {
            request.control |= KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW;
            request.arch = registers;
        }
        if traps.brk {
            request.control |= KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP;
        }
        if traps.step {
            request.control |= KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP;
        }
        self.traps = None;
        self.fd.set_guest_debug(&request).map_err(doing("set guest debug"))?;
        self.traps = Some(*traps);
        Ok(())
    }

    /// Forgets every trap, and a step that KVM holds on to after it ended without a report.
    pub fn forget_step(&mut self) -> Result<(), Error> {
        self.traps = None;
        self.set_traps(&Traps::default())
    }

    /// Whether PSCI has the vCPU turned off.
    pub fn is_off(&self) -> Result<bool, Error> {
        let ask = || {
            let state = self.fd.get_mp_state().map_err(doing("read the power state"))?;
            Ok(state.mp_state.into())
        };
        let state = self.known_or(Some(regs::POWER_STATE), ask)?;
        Ok(state == KVM_MP_STATE_STOPPED.into())
    }
}

/// KVM_EXIT_SYSTEM_EVENT's `type`.
fn system_event(kind: u32) -> Exit {
    match kind {
        KVM_SYSTEM_EVENT_SHUTDOWN => Exit::System(SystemEvent::Shutdown),
        KVM_SYSTEM_EVENT_RESET => Exit::System(SystemEvent::Reset),
        KVM_SYSTEM_EVENT_CRASH => Exit::Unhandled("KVM_SYSTEM_EVENT_CRASH".to_owned()),
        other => Exit::Unhandled(format!("KVM exit: system event {other}")),
    }
}

/// Why KVM_RUN failed.
fn failure(errno: kvm_ioctls::Error) -> String {
    if errno.errno() == libc::ENOSYS {
        return "access outside RAM by an instruction that KVM cannot decode \
                (a pair, a vector or a write-back form)"
            .to_owned();
    }
    format!("KVM_RUN: {errno}")
}

impl fmt::Display for Vcpu {
    /// The registers that tell where a vCPU is, for the report of an exit nobody can handle.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |value: Result<u64, Error>| match value {
            Ok(value) => format!("{value:016x}"),
            Err(_) => "unreadable".to_owned(),
        };
        let value = |id| text(self.get(id));
        let mut report = format!(
            "  pc {} pstate {} sp_el0 {} sp_el1 {}\n  esr_el1 {} far_el1 {} elr_el1 {} vbar_el1 {}",
            value(regs::PC),
            text(self.pstate().map(|pstate| pstate.0)),
            value(regs::SP_EL0),
            value(regs::SP_EL1),
            value(regs::ESR_EL1),
            value(regs::FAR_EL1),
            value(regs::ELR_EL1),
            value(regs::VBAR_EL1),
        );
        for n in 0..31 {
            let separator = if n % 4 == 0 { "\n " } else { "" };
            write!(report, "{separator} x{n:<2} {}", value(regs::x(n)))?;
        }
        f.write_str(&report)
    }
}
