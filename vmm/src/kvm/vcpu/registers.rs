//! A vCPU's registers. What was read is not asked for again before the vCPU runs.

use super::Vcpu;
use crate::arch::effect::Effect;
use crate::arch::exception::Taken;
use crate::arch::known::{Names, Slot};
use crate::arch::pstate::Pstate;
use crate::arch::stage1::Regime;
use crate::kvm::error::{Error, doing};
use crate::kvm::regs;

/// ID registers of the guest that the debugger looks at. They do not change.
#[derive(Clone, Copy, Default)]
pub(super) struct IdRegisters {
    mmfr0: u64,
    mmfr2: u64,
    pfr1: u64,
}

impl IdRegisters {
    pub(super) fn of(vcpu: &Vcpu) -> Result<Self, Error> {
        Ok(Self {
            mmfr0: vcpu.get(regs::ID_AA64MMFR0_EL1)?,
            mmfr2: vcpu.get(regs::ID_AA64MMFR2_EL1)?,
            pfr1: vcpu.get(regs::ID_AA64PFR1_EL1)?,
        })
    }
}

impl Vcpu {
    /// Reads a 64-bit register that is not PSTATE.
    pub fn get(&self, id: u64) -> Result<u64, Error> {
        self.known_or(regs::slot(id), || self.ask(id).map(u128::from)).map(|value| value as u64)
    }

    /// Writes a 64-bit register that is not PSTATE.
    pub fn set(&self, id: u64, value: u64) -> Result<(), Error> {
        self.tell(id, value)?;
        self.forget(regs::slot(id));
        Ok(())
    }

    pub(super) fn known_or(
        &self,
        slot: Option<Slot>,
        ask: impl FnOnce() -> Result<u128, Error>,
    ) -> Result<u128, Error> {
        if let Some(value) = slot.and_then(|slot| self.known.get(slot)) {
            return Ok(value);
        }
        let value = ask()?;
        if let Some(slot) = slot {
            self.known.note(slot, value);
        }
        Ok(value)
    }

    /// What was written is asked for again: KVM, or the CPU, may keep less of it.
    fn forget(&self, slot: Option<Slot>) {
        if let Some(slot) = slot {
            self.known.forget_one(slot);
        }
    }

    fn ask(&self, id: u64) -> Result<u64, Error> {
        let mut value = [0; 8];
        self.fd.get_one_reg(id, &mut value).map_err(doing("read a register"))?;
        Ok(u64::from_le_bytes(value))
    }

    fn tell(&self, id: u64, value: u64) -> Result<(), Error> {
        self.fd.set_one_reg(id, &value.to_le_bytes()).map_err(doing("write a register"))?;
        Ok(())
    }

    /// Reads FPSR or FPCR.
    pub fn get_u32(&self, id: u64) -> Result<u32, Error> {
        let ask = || {
            let mut value = [0; 4];
            self.fd.get_one_reg(id, &mut value).map_err(doing("read a register"))?;
            Ok(u32::from_le_bytes(value).into())
        };
        self.known_or(regs::slot(id), ask).map(|value| value as u32)
    }

    /// Writes FPSR or FPCR.
    pub fn set_u32(&self, id: u64, value: u32) -> Result<(), Error> {
        self.fd.set_one_reg(id, &value.to_le_bytes()).map_err(doing("write a register"))?;
        self.forget(regs::slot(id));
        Ok(())
    }

    /// Reads the first bytes of a register that has at most 256, and no slot.
    pub fn get_wide(&self, id: u64, size: usize) -> Result<Vec<u8>, Error> {
        let mut value = [0; 256];
        self.fd.get_one_reg(id, &mut value).map_err(doing("read a vector register"))?;
        Ok(value.get(..size).unwrap_or(&value).to_vec())
    }

    /// Writes Zn, Pn or FFR; bytes that are missing are zero.
    pub fn set_wide(&self, id: u64, value: &[u8]) -> Result<(), Error> {
        let mut wide = [0; 256];
        wide.iter_mut().zip(value).for_each(|(to, from)| *to = *from);
        self.fd.set_one_reg(id, &wide).map_err(doing("write a vector register"))?;
        // Its low bytes are Vn.
        (0..32).filter(|n| regs::z((*n).into()) == id).for_each(|n| self.forget(Some(Slot::v(n))));
        Ok(())
    }

    /// Reads the ID registers again: until the vCPUs first run, they can be written.
    pub fn reread_ids(&mut self) -> Result<(), Error> {
        self.ids = IdRegisters::of(self)?;
        Ok(())
    }

    /// Reads Vn, n in 0..=31, out of Zn where the vCPU has SVE.
    pub fn get_v(&self, n: u8) -> Result<u128, Error> {
        let ask = || {
            let mut value = [0; 256];
            let id = if self.has_sve { regs::z(n.into()) } else { regs::v(n.into()) };
            self.fd.get_one_reg(id, &mut value).map_err(doing("read a vector register"))?;
            Ok(value.first_chunk().map_or(0, |low| u128::from_le_bytes(*low)))
        };
        self.known_or(Some(Slot::v(n)), ask)
    }

    /// Writes Vn, n in 0..=31; the rest of Zn becomes zero, as the CPU does on a write to Vn.
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
        self.forget(Some(Slot::v(n)));
        Ok(())
    }

    /// Program counter.
    pub fn pc(&self) -> Result<u64, Error> {
        self.get(regs::PC)
    }

    /// Processor state.
    pub fn pstate(&self) -> Result<Pstate, Error> {
        if let Some(pstate) = self.known.pstate() {
            return Ok(Pstate(pstate));
        }
        let pstate = self.ask(regs::PSTATE)?;
        self.known.note_pstate(pstate);
        Ok(Pstate(pstate))
    }

    /// Writes the processor state.
    pub fn set_pstate(&self, pstate: u64) -> Result<(), Error> {
        self.tell(regs::PSTATE, pstate)?;
        // Where this means AArch32, KVM has cut the other registers to 32 bits.
        self.known.forget();
        Ok(())
    }

    /// Changes bits of the processor state that no mode depends on, and that KVM takes therefore. It
    /// hears of them when the vCPU runs, if they are not what it has by then.
    pub fn set_masks(&self, pstate: u64) {
        self.known.want_pstate(pstate);
    }

    pub(super) fn tell_masks(&self) -> Result<(), Error> {
        self.known.unsaid_pstate().map_or(Ok(()), |pstate| self.tell(regs::PSTATE, pstate))
    }

    /// Another vCPU has run, and may have turned this one on (PSCI CPU_ON).
    pub fn forget_registers(&self) {
        self.known.forget_all_but_masks();
    }

    /// Which registers are known, for [`Self::recall`].
    pub fn known_registers(&self) -> Names {
        self.known.names()
    }

    /// The vCPU has run, and executed one instruction to its end: what that has left alone need not
    /// be asked for again.
    pub fn recall(&self, names: Names, effect: Effect, pstate: u64) {
        self.known.recall(names, effect, pstate);
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
        self.set_pstate(taken.pstate.0)?;
        self.set(regs::PC, taken.pc)
    }
}
