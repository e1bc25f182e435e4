//! KVM's register ids (Documentation/virt/kvm/api.rst 4.68, asm/kvm.h).

use kvm_bindings::{
    KVM_REG_ARM_COPROC_MASK, KVM_REG_SIZE_MASK, KVM_REG_SIZE_U32, KVM_REG_SIZE_U64,
    KVM_REG_SIZE_U128, KVM_REG_SIZE_U256, KVM_REG_SIZE_U512, KVM_REG_SIZE_U2048,
};
use kvm_bindings::{KVM_REG_ARM_CORE, KVM_REG_ARM64, KVM_REG_ARM64_SVE, KVM_REG_ARM64_SYSREG};

use crate::arch::known::Slot;
use crate::arch::sysreg::Encoding;

/// Core register by its offset in `struct kvm_regs`, in 32-bit units.
const fn core(size: u64, offset: u64) -> u64 {
    KVM_REG_ARM64 | size | KVM_REG_ARM_CORE as u64 | offset
}

/// System register by its encoding in MRS and MSR.
const fn sysreg(op0: u64, op1: u64, crn: u64, crm: u64, op2: u64) -> u64 {
    KVM_REG_ARM64
        | KVM_REG_SIZE_U64
        | KVM_REG_ARM64_SYSREG as u64
        | op0 << 14
        | op1 << 11
        | crn << 7
        | crm << 3
        | op2
}

/// Xn, n in 0..=30.
pub const fn x(n: u64) -> u64 {
    core(KVM_REG_SIZE_U64, 2 * n)
}

/// SP_EL0; KVM calls it `regs.sp`.
pub const SP_EL0: u64 = core(KVM_REG_SIZE_U64, 0x3e);
/// Program counter.
pub const PC: u64 = core(KVM_REG_SIZE_U64, 0x40);
/// PSTATE in SPSR format, 64 bits wide.
pub const PSTATE: u64 = core(KVM_REG_SIZE_U64, 0x42);
/// SP_EL1.
pub const SP_EL1: u64 = core(KVM_REG_SIZE_U64, 0x44);
/// ELR_EL1; by its system register encoding KVM does not know it.
pub const ELR_EL1: u64 = core(KVM_REG_SIZE_U64, 0x46);
/// SPSR_EL1; as ELR_EL1.
pub const SPSR_EL1: u64 = core(KVM_REG_SIZE_U64, 0x48);

/// Vn, n in 0..=31. EINVAL on a vCPU with SVE: see [`z`].
pub const fn v(n: u64) -> u64 {
    core(KVM_REG_SIZE_U128, 0x54 + 4 * n)
}

/// Floating-point status.
pub const FPSR: u64 = core(KVM_REG_SIZE_U32, 0xd4);
/// Floating-point control.
pub const FPCR: u64 = core(KVM_REG_SIZE_U32, 0xd5);

/// Zn of a vCPU with SVE, slice 0: 256 bytes, of which the first 16 are Vn.
pub const fn z(n: u64) -> u64 {
    KVM_REG_ARM64 | KVM_REG_ARM64_SVE as u64 | KVM_REG_SIZE_U2048 | n << 5
}

/// Pn of a vCPU with SVE, slice 0, 32 bytes; 16 is FFR.
pub const fn p(n: u64) -> u64 {
    KVM_REG_ARM64 | KVM_REG_ARM64_SVE as u64 | KVM_REG_SIZE_U256 | 0x400 | n << 5
}

/// The first-fault register.
pub const FFR: u64 = p(16);

/// The lengths of SVE vectors that the vCPU has: bit n is for 16 * (n + 1) bytes.
pub const SVE_VLS: u64 = KVM_REG_ARM64 | KVM_REG_ARM64_SVE as u64 | KVM_REG_SIZE_U512 | 0xffff;

/// The system registers that KVM has among the core ones, by their names.
pub const CORE_SYSTEM: [(u64, &str); 8] = [
    (SP_EL0, "SP_EL0"),
    (SP_EL1, "SP_EL1"),
    (ELR_EL1, "ELR_EL1"),
    (SPSR_EL1, "SPSR_EL1"),
    (core(KVM_REG_SIZE_U64, 0x4a), "SPSR_abt"),
    (core(KVM_REG_SIZE_U64, 0x4c), "SPSR_und"),
    (core(KVM_REG_SIZE_U64, 0x4e), "SPSR_irq"),
    (core(KVM_REG_SIZE_U64, 0x50), "SPSR_fiq"),
];

/// The encoding of the system register that an id is of. Not of one are the core's, SVE's, those of
/// firmware, which only KVM knows, and CCSIDR_EL1, of which there are several.
pub fn encoding(id: u64) -> Option<Encoding> {
    const KIND: u64 = KVM_REG_SIZE_MASK | KVM_REG_ARM_COPROC_MASK as u64;
    // KVM has these two the wrong way round, and keeps them so (asm/kvm.h, KVM_REG_ARM_TIMER_CVAL).
    let id = match id {
        CNTVCT_EL0 => CNTV_CVAL_EL0,
        CNTV_CVAL_EL0 => CNTVCT_EL0,
        id => id,
    };
    let is_system = id & KIND == KVM_REG_SIZE_U64 | KVM_REG_ARM64_SYSREG as u64;
    let bits = |shift: u32, width: u32| (id >> shift & ((1_u64 << width) - 1)) as u8;
    is_system.then(|| Encoding {
        op0: bits(14, 2),
        op1: bits(11, 3),
        crn: bits(7, 4),
        crm: bits(3, 4),
        op2: bits(0, 3),
    })
}

/// EL0's thread pointer.
pub const TPIDR_EL0: u64 = sysreg(3, 3, 13, 0, 2);
/// EL0's second thread pointer.
pub const TPIDR2_EL0: u64 = sysreg(3, 3, 13, 0, 5);

/// Affinity.
pub const MPIDR_EL1: u64 = sysreg(3, 0, 0, 0, 5);
/// Which MTE the guest sees, in bits 11:8; FEAT_NMI in bits 39:36.
pub const ID_AA64PFR1_EL1: u64 = sysreg(3, 0, 0, 4, 1);
/// Physical address size in bits 3:0.
pub const ID_AA64MMFR0_EL1: u64 = sysreg(3, 0, 0, 7, 0);
/// FEAT_LVA and FEAT_TTST.
pub const ID_AA64MMFR2_EL1: u64 = sysreg(3, 0, 0, 7, 2);
/// System control.
pub const SCTLR_EL1: u64 = sysreg(3, 0, 1, 0, 0);
/// Translation table base, lower half.
pub const TTBR0_EL1: u64 = sysreg(3, 0, 2, 0, 0);
/// Translation table base, upper half.
pub const TTBR1_EL1: u64 = sysreg(3, 0, 2, 0, 1);
/// Translation control.
pub const TCR_EL1: u64 = sysreg(3, 0, 2, 0, 2);
/// Memory attributes.
pub const MAIR_EL1: u64 = sysreg(3, 0, 10, 2, 0);
/// What EL0 may use of the timers.
pub const CNTKCTL_EL1: u64 = sysreg(3, 0, 14, 1, 0);
/// The virtual timer's control.
pub const CNTV_CTL_EL0: u64 = sysreg(3, 3, 14, 3, 1);
/// The virtual timer's compare value; KVM_REG_ARM_TIMER_CVAL has the encoding of CNTVCT_EL0 (api.rst 4.68).
pub const CNTV_CVAL_EL0: u64 = sysreg(3, 3, 14, 0, 2);
/// The virtual counter; KVM_REG_ARM_TIMER_CNT has the encoding of CNTV_CVAL_EL0 (api.rst 4.68).
pub const CNTVCT_EL0: u64 = sysreg(3, 3, 14, 3, 2);
/// The physical timer's control. Not every KVM tells of it and the next two.
pub const CNTP_CTL_EL0: u64 = sysreg(3, 3, 14, 2, 1);
/// The physical timer's compare value.
pub const CNTP_CVAL_EL0: u64 = sysreg(3, 3, 14, 2, 2);
/// The physical counter.
pub const CNTPCT_EL0: u64 = sysreg(3, 3, 14, 0, 1);
/// Exception syndrome.
pub const ESR_EL1: u64 = sysreg(3, 0, 5, 2, 0);
/// Fault address.
pub const FAR_EL1: u64 = sysreg(3, 0, 6, 0, 0);
/// Vector base.
pub const VBAR_EL1: u64 = sysreg(3, 0, 12, 0, 0);

/// Where the value of a register is kept while the vCPU stands still. Vectors have several ids.
pub fn slot(id: u64) -> Option<Slot> {
    // x0 to x30 are two 32-bit units apart.
    let (first, last) = (x(0), x(30));
    if (first..=last).contains(&id) {
        return Some(Slot::x(((id - first) / 2) as u8));
    }
    Some(match id {
        SP_EL0 => Slot::SP_EL0,
        SP_EL1 => Slot::SP_EL1,
        PC => Slot::PC,
        ELR_EL1 => Slot::other(0),
        SPSR_EL1 => Slot::other(1),
        SCTLR_EL1 => Slot::other(2),
        TCR_EL1 => Slot::other(3),
        TTBR0_EL1 => Slot::other(4),
        TTBR1_EL1 => Slot::other(5),
        VBAR_EL1 => Slot::other(6),
        ESR_EL1 => Slot::other(7),
        FAR_EL1 => Slot::other(8),
        FPSR => Slot::other(9),
        FPCR => Slot::other(10),
        _ => return None,
    })
}

/// Where KVM's `mp_state` is kept, which is as good as a register.
pub const POWER_STATE: Slot = Slot::other(11);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_registers_have_names() {
        let name = |id| encoding(id).map(|encoding| encoding.to_string());

        assert_eq!(name(TCR_EL1).as_deref(), Some("TCR_EL1"));
        assert_eq!(name(TPIDR_EL0).as_deref(), Some("TPIDR_EL0"));
        // KVM_REG_ARM_TIMER_CVAL and KVM_REG_ARM_TIMER_CNT.
        assert_eq!(name(0x6030_0000_0013_df02).as_deref(), Some("CNTV_CVAL_EL0"));
        assert_eq!(name(0x6030_0000_0013_df1a).as_deref(), Some("CNTVCT_EL0"));
        // KVM_REG_ARM_PSCI_VERSION, the first CCSIDR_EL1, PC, Z0, the vector lengths.
        let others = [0x6030_0000_0014_0000, 0x6020_0000_0011_0000, PC, z(0), SVE_VLS];
        assert!(others.iter().all(|id| encoding(*id).is_none()));
    }

    #[test]
    fn ids_of_sve_are_those_measured_on_kvm() {
        assert_eq!(z(1), 0x6080_0000_0015_0020);
        assert_eq!(p(1), 0x6050_0000_0015_0420);
        assert_eq!(FFR, 0x6050_0000_0015_0600);
        assert_eq!(SVE_VLS, 0x6060_0000_0015_ffff);
    }

    #[test]
    fn ids_are_those_measured_on_kvm() {
        assert_eq!(PC, 0x6030_0000_0010_0040);
        assert_eq!(PSTATE, 0x6030_0000_0010_0042);
        assert_eq!(v(1), 0x6040_0000_0010_0058);
        assert_eq!(FPSR, 0x6020_0000_0010_00d4);
        assert_eq!(VBAR_EL1, 0x6030_0000_0013_c600);
        assert_eq!(ESR_EL1, 0x6030_0000_0013_c290);
        assert_eq!(FAR_EL1, 0x6030_0000_0013_c300);
        assert_eq!(SCTLR_EL1, 0x6030_0000_0013_c080);
        assert_eq!(TCR_EL1, 0x6030_0000_0013_c102);
        assert_eq!(ID_AA64MMFR0_EL1, 0x6030_0000_0013_c038);
    }
}
