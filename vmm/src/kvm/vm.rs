//! The virtual machine: what this host's KVM offers, RAM, vCPUs and the interrupt controller.
#![expect(unsafe_code, reason = "memory slots and device attributes hand pointers to the kernel")]

use std::io;
use std::sync::{Arc, Mutex, Weak};

use devices::bus::Bus;
use devices::irq::IrqLine;
use kvm_bindings::{
    KVM_ARM_VCPU_PMU_V3, KVM_ARM_VCPU_PMU_V3_CTRL, KVM_ARM_VCPU_PMU_V3_INIT,
    KVM_ARM_VCPU_PMU_V3_IRQ, KVM_ARM_VCPU_POWER_OFF, KVM_ARM_VCPU_PSCI_0_2,
    KVM_ARM_VCPU_PTRAUTH_ADDRESS, KVM_ARM_VCPU_PTRAUTH_GENERIC, KVM_ARM_VCPU_SVE, KVM_CAP_ARM_MTE,
    KVM_CAP_ARM_PMU_V3, KVM_CAP_ARM_PTRAUTH_ADDRESS, KVM_CAP_ARM_PTRAUTH_GENERIC, KVM_CAP_ARM_SVE,
    KVM_CAP_SET_GUEST_DEBUG, KVM_CAP_SET_GUEST_DEBUG2, KVM_GUESTDBG_SINGLESTEP,
    KVM_GUESTDBG_USE_HW, KVMIO, kvm_device_attr, kvm_enable_cap, kvm_reg_list,
    kvm_userspace_memory_region, kvm_vcpu_init,
};
use kvm_ioctls::{Cap, IoEventAddress, Kvm, VcpuFd, VmFd};
use vmm_sys_util::eventfd::EventFd;
use vmm_sys_util::ioctl::ioctl_with_mut_ref;
use vmm_sys_util::ioctl_iowr_nr;

use super::error::{Error, doing};
use super::gic::Gic;
use super::memory::Memory;
use super::plan::{Plan, Redistributors};
use super::regs;
use super::vcpu::Vcpu;
use super::window::Window;
use crate::arch::features::{Choices, Feature};

/// What the host's KVM can do for a debugger.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct DebugSupport {
    /// Breakpoint register pairs; 0 without hardware debug.
    pub breakpoints: usize,
    /// Watchpoint register pairs; 0 without hardware debug.
    pub watchpoints: usize,
    /// Whether KVM can single-step.
    pub step: bool,
}

impl DebugSupport {
    /// What is missing, and what does not work for that: a line each, empty with all there is.
    pub fn missing(&self) -> impl Iterator<Item = &'static str> {
        let step = "this host's KVM cannot single-step: steps are refused, and with them \
                    continuing from a breakpoint that is still set";
        let hardware = "this host's KVM has no hardware breakpoints and watchpoints: breakpoints \
                        work where memory is mapped";
        let has_hardware = self.breakpoints + self.watchpoints > 0;
        (!self.step).then_some(step).into_iter().chain((!has_hardware).then_some(hardware))
    }
}

/// A machine's KVM half, before its vCPUs run.
pub struct Vm {
    fd: Arc<VmFd>,
    kvm: Kvm,
    memory: Memory,
    vcpus: Vec<VcpuFd>,
    features: kvm_vcpu_init,
    gic: Arc<Gic>,
    window: Option<Arc<Mutex<Window>>>,
}

/// What must be there as long as any vCPU is.
#[expect(dead_code, reason = "held, not used")]
pub(super) struct Machine {
    fd: Arc<VmFd>,
    memory: Memory,
    window: Option<Arc<Mutex<Window>>>,
}

/// The GICv2 architecture has eight CPU interfaces (Arm IHI 0048, 1.1).
const GICV2_MAX_VCPUS: usize = 8;

/// Bits of an IPA unless the host offers fewer: KVM's default, enough for 1 TiB.
const IPA_BITS: u32 = 40;

impl Vm {
    /// Makes the VM.
    pub fn new(plan: &Plan) -> Result<Self, Error> {
        let vcpus = plan.vcpus;
        let kvm = Kvm::new().map_err(|errno| Error::Open(errno.into()))?;
        match kvm.get_api_version() {
            12 => {}
            other => return Err(Error::ApiVersion(other)),
        }
        let limit = kvm.get_max_vcpus();
        if vcpus > limit {
            return Err(Error::TooManyVcpus(vcpus, limit, "KVM_CAP_MAX_VCPUS"));
        }
        let fd = create(&kvm, plan)?;
        enable_tags(&fd, plan.features)?;
        let memory = Memory::new(plan.ram_base, plan.ram_size)?;
        memory.let_merge(&memory.range());
        add_slot(&fd, &memory, plan)?;

        let gic = Gic::create(&fd)?;
        let room = if gic.is_v3() {
            plan.redistributors.iter().map(|row| row.count as usize).sum()
        } else {
            GICV2_MAX_VCPUS
        };
        if vcpus > room {
            return Err(Error::TooManyVcpus(vcpus, room, "the interrupt controller's limit"));
        }
        let features = features(&fd, plan.features)?;
        let vcpus = (0..vcpus)
            .map(|index| create_vcpu(&fd, features, index))
            .collect::<Result<Vec<_>, _>>()?;
        gic.init(plan)?;
        if has_feature(&features, KVM_ARM_VCPU_PMU_V3) {
            vcpus.iter().try_for_each(|vcpu| init_pmu(vcpu, plan.pmu_intid))?;
        }
        let fd = Arc::new(fd);
        let window = vcpus.first().map(|vcpu| Window::new(&fd, vcpu, plan.window)).transpose()?;
        let window = window.flatten().map(|window| Arc::new(Mutex::new(window)));
        Ok(Self { fd, kvm, memory, vcpus, features, gic: Arc::new(gic), window })
    }

    /// Guest RAM.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// The interrupt controller, to look at while the vCPUs are parked. It keeps the VM.
    pub fn gic(&self) -> Arc<Gic> {
        self.gic.clone()
    }

    /// Whether the interrupt controller is a GICv3, not a GICv2.
    pub fn is_gicv3(&self) -> bool {
        self.gic.is_v3()
    }

    /// Whether the vCPUs have a PMU.
    pub fn has_pmu(&self) -> bool {
        has_feature(&self.features, KVM_ARM_VCPU_PMU_V3)
    }

    /// Affinity fields of each vCPU's MPIDR_EL1.
    pub fn mpidrs(&self) -> Result<Vec<u64>, Error> {
        self.vcpus
            .iter()
            .map(|vcpu| {
                let mut value = [0; 8];
                vcpu.get_one_reg(regs::MPIDR_EL1, &mut value).map_err(doing("read MPIDR_EL1"))?;
                // Aff3 in 39:32, Aff2..0 in 23:0.
                Ok(u64::from_le_bytes(value) & 0xff_00ff_ffff)
            })
            .collect()
    }

    /// Ids of the registers that the vCPUs have (KVM_GET_REG_LIST).
    pub fn register_ids(&self) -> Result<Vec<u64>, Error> {
        // kvm-ioctls has room for 500, of which some hosts have 360 already.
        const MOST: usize = 2000;
        /// `struct kvm_reg_list`.
        #[repr(C)]
        struct List {
            n: u64,
            reg: [u64; MOST],
        }
        ioctl_iowr_nr!(KVM_GET_REG_LIST, KVMIO, 0xb0, kvm_reg_list);
        let Some(vcpu) = self.vcpus.first() else { return Ok(Vec::new()) };
        let mut list = Box::new(List { n: MOST as u64, reg: [0; MOST] });
        // SAFETY: the kernel writes `n`, and behind it as many ids as `n` said at most.
        let done = unsafe { ioctl_with_mut_ref(vcpu, KVM_GET_REG_LIST(), list.as_mut()) };
        if done < 0 {
            return Err(Error::Ioctl("list the registers", io::Error::last_os_error()));
        }
        Ok(list.reg.into_iter().take(list.n as usize).collect())
    }

    /// Bytes of the longest SVE vector that the vCPUs have; `None` without SVE.
    pub fn vector_length(&self) -> Result<Option<usize>, Error> {
        let Some(vcpu) = self.vcpus.first().filter(|_| self.has_sve()) else { return Ok(None) };
        let mut lengths = [0; 64];
        vcpu.get_one_reg(regs::SVE_VLS, &mut lengths).map_err(doing("read the vector lengths"))?;
        let longest = lengths.iter().rposition(|byte| *byte != 0);
        let bit =
            longest.map(|at| 8 * at + lengths.get(at).map_or(0, |byte| byte.ilog2()) as usize);
        Ok(bit.map(|bit| 16 * (bit + 1)))
    }

    fn has_sve(&self) -> bool {
        has_feature(&self.features, KVM_ARM_VCPU_SVE)
    }

    /// Whether the vCPUs have pointer authentication.
    pub fn has_pauth(&self) -> bool {
        has_feature(&self.features, KVM_ARM_VCPU_PTRAUTH_ADDRESS)
    }

    /// What KVM can do for a debugger; an error if that is nothing.
    pub fn debug_support(&self) -> Result<DebugSupport, Error> {
        if self.kvm.check_extension_raw(KVM_CAP_SET_GUEST_DEBUG.into()) <= 0 {
            return Err(Error::Missing("guest debug, which --gdb needs"));
        }
        // Before 5.12 KVM does not say, and has all of it.
        let modes = self.kvm.check_extension_raw(KVM_CAP_SET_GUEST_DEBUG2.into());
        let has = |mode: u32| modes <= 0 || modes.cast_unsigned() & mode != 0;
        let count = |pairs: i32| match usize::try_from(pairs) {
            Ok(pairs) if has(KVM_GUESTDBG_USE_HW) => pairs,
            _ => 0,
        };
        Ok(DebugSupport {
            breakpoints: count(self.kvm.get_guest_debug_hw_bps()),
            watchpoints: count(self.kvm.get_guest_debug_hw_wps()),
            step: has(KVM_GUESTDBG_SINGLESTEP),
        })
    }

    /// The line that raises a shared interrupt. It does not keep the VM alive.
    pub fn irq_line(&self, intid: u32) -> impl IrqLine + use<> {
        SpiLine { vm: Arc::downgrade(&self.fd), intid }
    }

    /// Has KVM signal `event` where a vCPU writes the 32-bit word `value` to `ipa`, without a return from KVM_RUN.
    pub fn notify(&self, ipa: u64, value: u32, event: &EventFd) -> Result<(), Error> {
        self.fd
            .register_ioevent(event, &IoEventAddress::Mmio(ipa), value)
            .map_err(doing("add an ioeventfd"))
    }

    /// The window over the plan's device, if this host's KVM has one. It goes with the vCPUs.
    pub fn window(&self) -> Weak<Mutex<Window>> {
        self.window.as_ref().map(Arc::downgrade).unwrap_or_default()
    }

    /// Sets the boot registers of vCPU 0 (booting.rst: PC, x0 = DTB, x1 to x3 zero; PSTATE is
    /// already EL1h with everything masked) and hands the vCPUs over.
    pub fn into_vcpus(self, entry: u64, dtb: u64, bus: &Arc<Bus>) -> Result<Vec<Vcpu>, Error> {
        let has_sve = self.has_sve();
        let vcpus: Vec<Vcpu> = (0..)
            .zip(self.vcpus)
            .map(|(index, fd)| {
                let (fd_held, memory) = (self.fd.clone(), self.memory.clone());
                let machine = Machine { fd: fd_held, memory, window: self.window.clone() };
                Vcpu::new(fd, machine, bus.clone(), index, has_sve)
            })
            .collect::<Result<_, _>>()?;
        if let Some(boot) = vcpus.first() {
            boot.set(regs::PC, entry)?;
            boot.set(regs::x(0), dtb)?;
        }
        Ok(vcpus)
    }
}

/// A GIC input.
struct SpiLine {
    vm: Weak<VmFd>,
    intid: u32,
}

impl IrqLine for SpiLine {
    fn set(&self, high: bool) {
        /// KVM_ARM_IRQ_TYPE_SPI in bits 31:24 (api.rst 4.25).
        const TYPE_SPI: u32 = 1 << 24;
        // The device may outlive its VM by a moment.
        if let Some(vm) = self.vm.upgrade() {
            // The INTID is valid by construction, and KVM knows no other failure here.
            let _ = vm.set_irq_line(TYPE_SPI | self.intid, high);
        }
    }
}

/// Makes the VM with guest addresses wide enough for this machine.
fn create(kvm: &Kvm, plan: &Plan) -> Result<VmFd, Error> {
    // 0 on kernels that know 40 bits only.
    let limit = match kvm.get_host_ipa_limit() {
        bits if bits > 0 => bits.cast_unsigned(),
        _ => IPA_BITS,
    };
    let last_ram = plan.ram_base.saturating_add(plan.ram_size - 1);
    let last = plan.redistributors.iter().map(Redistributors::last).fold(last_ram, u64::max);
    let bits = limit.min(IPA_BITS);
    if last >> bits != 0 {
        return Err(Error::MemoryBeyondIpa(last, bits));
    }
    let vm = if bits == IPA_BITS { kvm.create_vm() } else { kvm.create_vm_with_ipa_size(bits) };
    vm.map_err(doing("create a VM"))
}

fn add_slot(vm: &VmFd, memory: &Memory, plan: &Plan) -> Result<(), Error> {
    let slot = kvm_userspace_memory_region {
        slot: 0,
        flags: 0,
        guest_phys_addr: plan.ram_base,
        memory_size: plan.ram_size,
        userspace_addr: memory.host_start() as u64,
    };
    // SAFETY: the slot's host range is a mapping of `ram_size` bytes, unmapped only when no vCPU is
    // left to reach it: each holds a `Machine`.
    unsafe { vm.set_user_memory_region(slot) }.map_err(doing("add guest memory"))
}

/// What a vCPU is made with: what of the optional is chosen, or else offered by this KVM.
fn features(vm: &VmFd, choices: Choices) -> Result<kvm_vcpu_init, Error> {
    let mut init = kvm_vcpu_init::default();
    vm.get_preferred_target(&mut init).map_err(doing("ask for the CPU type"))?;
    if !vm.check_extension(Cap::ArmPsci02) {
        return Err(Error::Missing("PSCI 0.2"));
    }
    set_feature(&mut init, KVM_ARM_VCPU_PSCI_0_2);
    if has(vm, choices, Feature::Pmu)? {
        set_feature(&mut init, KVM_ARM_VCPU_PMU_V3);
    }
    if has(vm, choices, Feature::Sve)? {
        set_feature(&mut init, KVM_ARM_VCPU_SVE);
    }
    if has(vm, choices, Feature::Pauth)? {
        set_feature(&mut init, KVM_ARM_VCPU_PTRAUTH_ADDRESS);
        set_feature(&mut init, KVM_ARM_VCPU_PTRAUTH_GENERIC);
    }
    Ok(init)
}

/// Whether the vCPUs are to have a feature.
fn has(vm: &VmFd, choices: Choices, feature: Feature) -> Result<bool, Error> {
    let has = |capability: u32| vm.check_extension_raw(capability.into()) > 0;
    let is_offered = match feature {
        Feature::Mte => has(KVM_CAP_ARM_MTE),
        // KVM takes both or neither.
        Feature::Pauth => has(KVM_CAP_ARM_PTRAUTH_ADDRESS) && has(KVM_CAP_ARM_PTRAUTH_GENERIC),
        Feature::Pmu => has(KVM_CAP_ARM_PMU_V3),
        Feature::Sve => has(KVM_CAP_ARM_SVE),
    };
    match choices.of(feature) {
        Some(true) if !is_offered => Err(Error::NoFeature(feature)),
        Some(is_on) => Ok(is_on),
        None => Ok(is_offered && feature.is_on_by_default()),
    }
}

/// Gives the vCPUs memory tagging, if they are to have it (api.rst 7.26): before any is made, and before there is memory, all of
/// which must then be anonymous.
fn enable_tags(vm: &VmFd, choices: Choices) -> Result<(), Error> {
    if !has(vm, choices, Feature::Mte)? {
        return Ok(());
    }
    let capability = kvm_enable_cap { cap: KVM_CAP_ARM_MTE, ..Default::default() };
    vm.enable_cap(&capability).map_err(doing("turn on memory tagging"))
}

fn set_feature(init: &mut kvm_vcpu_init, feature: u32) {
    let [first, ..] = &mut init.features;
    *first |= 1 << feature;
}

fn has_feature(init: &kvm_vcpu_init, feature: u32) -> bool {
    let [first, ..] = init.features;
    first & 1 << feature != 0
}

/// Makes a vCPU; all but the first wait for PSCI CPU_ON.
fn create_vcpu(vm: &VmFd, features: kvm_vcpu_init, index: usize) -> Result<VcpuFd, Error> {
    let vcpu = vm.create_vcpu(index as u64).map_err(doing("create a vCPU"))?;
    let mut init = features;
    if index > 0 {
        set_feature(&mut init, KVM_ARM_VCPU_POWER_OFF);
    }
    vcpu.vcpu_init(&init).map_err(doing("initialize a vCPU"))?;
    if has_feature(&init, KVM_ARM_VCPU_SVE) {
        vcpu.vcpu_finalize(&KVM_ARM_VCPU_SVE.cast_signed()).map_err(doing("finalize SVE"))?;
    }
    Ok(vcpu)
}

/// Connects the PMU's overflow interrupt and turns it on. The GIC must be initialized.
fn init_pmu(vcpu: &VcpuFd, intid: u32) -> Result<(), Error> {
    let mut request = kvm_device_attr {
        group: KVM_ARM_VCPU_PMU_V3_CTRL,
        attr: KVM_ARM_VCPU_PMU_V3_IRQ.into(),
        addr: std::ptr::from_ref(&intid) as u64,
        flags: 0,
    };
    vcpu.set_device_attr(&request).map_err(doing("set up the PMU's interrupt"))?;
    request.attr = KVM_ARM_VCPU_PMU_V3_INIT.into();
    request.addr = 0;
    vcpu.set_device_attr(&request).map_err(doing("initialize the PMU"))
}
