//! One vCPU: registers, and KVM_RUN until something happens that KVM and the bus cannot handle.
#![expect(unsafe_code, reason = "kvm_run's immediate_exit is written from other threads")]

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

use super::error::{Error, doing};
use super::regs;
use super::vm::Machine;
use crate::arch::esr::Esr;
use crate::arch::exception::Taken;
use crate::arch::pstate::{Level, Pstate};
use crate::arch::stage1::{KernelTables, Regime, SCTLR_M};

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

/// ID registers of the guest that the debugger looks at. They do not change.
#[derive(Clone, Copy, Default)]
struct IdRegisters {
    mmfr0: u64,
    mmfr2: u64,
    pfr1: u64,
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
    /// What KVM was last told to trap; `None` if that is not certain.
    traps: Option<Traps>,
    /// Trapped accesses so far.
    accesses: u32,
    kernel_tables: KernelTables,
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
        let mut vcpu = Self {
            fd,
            machine,
            bus,
            index,
            has_sve,
            ids: IdRegisters::default(),
            traps: None,
            accesses: 0,
            kernel_tables: KernelTables::default(),
        };
        vcpu.ids = IdRegisters {
            mmfr0: vcpu.get(regs::ID_AA64MMFR0_EL1)?,
            mmfr2: vcpu.get(regs::ID_AA64MMFR2_EL1)?,
            pfr1: vcpu.get(regs::ID_AA64PFR1_EL1)?,
        };
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
            match self.fd.run() {
                Ok(VcpuExit::MmioRead(ipa, data)) => {
                    self.bus.read(ipa, data);
                    self.count_access();
                }
                Ok(VcpuExit::MmioWrite(ipa, data)) => {
                    self.bus.write(ipa, data);
                    self.count_access();
                }
                Ok(VcpuExit::Debug(debug)) => {
                    // Before 5.19 the kernel leaves hsr_high to what was there before.
                    let has_high = self.fd.get_kvm_run().flags & HSR_HIGH_VALID != 0;
                    let high = if has_high { u64::from(debug.hsr_high) << 32 } else { 0 };
                    let esr = Esr(high | u64::from(debug.hsr));
                    return Exit::Debug { esr, far: debug.far };
                }
                Ok(VcpuExit::SystemEvent(KVM_SYSTEM_EVENT_SHUTDOWN, _)) => {
                    return Exit::System(SystemEvent::Shutdown);
                }
                Ok(VcpuExit::SystemEvent(KVM_SYSTEM_EVENT_RESET, _)) => {
                    return Exit::System(SystemEvent::Reset);
                }
                Ok(VcpuExit::SystemEvent(KVM_SYSTEM_EVENT_CRASH, _)) => {
                    return Exit::Unhandled("KVM_SYSTEM_EVENT_CRASH".to_owned());
                }
                Ok(other) => return Exit::Unhandled(format!("KVM exit {other:?}")),
                // A trapped access is finished by the entry that this interrupted.
                Err(errno) if errno.errno() == libc::EINTR => return Exit::Interrupted,
                Err(errno) if errno.errno() == libc::EAGAIN => {}
                Err(errno) if errno.errno() == libc::ENOSYS => {
                    return Exit::Unhandled(
                        "access outside RAM by an instruction that KVM cannot decode \
                         (a pair, a vector or a write-back form)"
                            .to_owned(),
                    );
                }
                Err(errno) => return Exit::Unhandled(format!("KVM_RUN: {errno}")),
            }
        }
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
        let state = self.fd.get_mp_state().map_err(doing("read the power state"))?;
        Ok(state.mp_state == KVM_MP_STATE_STOPPED)
    }

    /// Reads a 64-bit register.
    pub fn get(&self, id: u64) -> Result<u64, Error> {
        let mut value = [0; 8];
        self.fd.get_one_reg(id, &mut value).map_err(doing("read a register"))?;
        Ok(u64::from_le_bytes(value))
    }

    /// Writes a 64-bit register.
    pub fn set(&self, id: u64, value: u64) -> Result<(), Error> {
        self.fd.set_one_reg(id, &value.to_le_bytes()).map_err(doing("write a register"))?;
        Ok(())
    }

    /// Reads FPSR or FPCR.
    pub fn get_u32(&self, id: u64) -> Result<u32, Error> {
        let mut value = [0; 4];
        self.fd.get_one_reg(id, &mut value).map_err(doing("read a register"))?;
        Ok(u32::from_le_bytes(value))
    }

    /// Writes FPSR or FPCR.
    pub fn set_u32(&self, id: u64, value: u32) -> Result<(), Error> {
        self.fd.set_one_reg(id, &value.to_le_bytes()).map_err(doing("write a register"))?;
        Ok(())
    }

    /// Reads Vn, out of Zn where the vCPU has SVE.
    pub fn get_v(&self, n: u8) -> Result<u128, Error> {
        let mut value = [0; 256];
        let id = if self.has_sve { regs::z(n.into()) } else { regs::v(n.into()) };
        self.fd.get_one_reg(id, &mut value).map_err(doing("read a vector register"))?;
        Ok(value.first_chunk().map_or(0, |low| u128::from_le_bytes(*low)))
    }

    /// Writes Vn; the rest of Zn becomes zero, as the CPU does on a write to Vn.
    pub fn set_v(&self, n: u8, value: u128) -> Result<(), Error> {
        let low = value.to_le_bytes();
        let written = if self.has_sve {
            let mut wide = [0; 256];
            wide.iter_mut().zip(low).for_each(|(to, from)| *to = from);
            self.fd.set_one_reg(regs::z(n.into()), &wide)
        } else {
            self.fd.set_one_reg(regs::v(n.into()), &low)
        };
        written.map_err(doing("write a vector register"))?;
        Ok(())
    }

    /// Program counter.
    pub fn pc(&self) -> Result<u64, Error> {
        self.get(regs::PC)
    }

    /// Processor state.
    pub fn pstate(&self) -> Result<Pstate, Error> {
        Ok(Pstate(self.get(regs::PSTATE)?))
    }

    /// Id of the register that `sp` names at the moment.
    pub fn sp_id(&self) -> Result<u64, Error> {
        Ok(if self.pstate()?.uses_sp_el1() { regs::SP_EL1 } else { regs::SP_EL0 })
    }

    /// What a stage-1 walk depends on, as it stands now.
    pub fn regime(&self) -> Result<Regime, Error> {
        Ok(Regime {
            sctlr: self.get(regs::SCTLR_EL1)?,
            tcr: self.get(regs::TCR_EL1)?,
            ttbr0: self.get(regs::TTBR0_EL1)?,
            ttbr1: self.get(regs::TTBR1_EL1)?,
            mmfr0: self.ids.mmfr0,
            mmfr2: self.ids.mmfr2,
        })
    }

    /// Whether the vCPU has FEAT_MTE2, and with it PSTATE.TCO.
    pub fn has_mte(&self) -> bool {
        // MTE, bits 11:8: 2 and up have tag checks.
        self.ids.pfr1 >> 8 & 0xf >= 2
    }

    /// Whether the vCPU has FEAT_NMI, and with it PSTATE.ALLINT.
    pub fn has_nmi(&self) -> bool {
        // NMI, bits 39:36.
        self.ids.pfr1 >> 36 & 0xf != 0
    }

    /// Writes the registers of an exception taken to EL1.
    pub fn enter(&self, taken: &Taken) -> Result<(), Error> {
        self.set(regs::ELR_EL1, taken.elr)?;
        self.set(regs::SPSR_EL1, taken.spsr)?;
        self.set(regs::ESR_EL1, taken.esr)?;
        if let Some(far) = taken.far {
            self.set(regs::FAR_EL1, far)?;
        }
        self.set(regs::PSTATE, taken.pstate.0)?;
        self.set(regs::PC, taken.pc)
    }
}

impl fmt::Display for Vcpu {
    /// The registers that tell where a vCPU is, for the report of an exit nobody can handle.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = |id| match self.get(id) {
            Ok(value) => format!("{value:016x}"),
            Err(_) => "unreadable".to_owned(),
        };
        let mut text = format!(
            "  pc {} pstate {} sp_el0 {} sp_el1 {}\n  esr_el1 {} far_el1 {} elr_el1 {} vbar_el1 {}",
            value(regs::PC),
            value(regs::PSTATE),
            value(regs::SP_EL0),
            value(regs::SP_EL1),
            value(regs::ESR_EL1),
            value(regs::FAR_EL1),
            value(regs::ELR_EL1),
            value(regs::VBAR_EL1),
        );
        for n in 0..31 {
            let separator = if n % 4 == 0 { "\n " } else { "" };
            write!(text, "{separator} x{n:<2} {}", value(regs::x(n)))?;
        }
        f.write_str(&text)
    }
}
