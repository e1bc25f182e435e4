//! Debug exceptions that belong to the guest: KVM took them away from it, we give them back.

use crate::arch::esr::Esr;
use crate::arch::exception::{self, Before};
use crate::kvm::error::Error;
use crate::kvm::regs;
use crate::kvm::vcpu::Vcpu;

/// Enters the guest's vector as the CPU would have.
pub fn deliver(vcpu: &Vcpu, esr: Esr, far: u64) -> Result<(), Error> {
    let before = Before {
        pc: vcpu.pc()?,
        pstate: vcpu.pstate()?,
        vbar: vcpu.get(regs::VBAR_EL1)?,
        sctlr: vcpu.get(regs::SCTLR_EL1)?,
        mte: vcpu.has_mte(),
        nmi: vcpu.has_nmi(),
    };
    vcpu.enter(&exception::take(&before, esr, far))
}
