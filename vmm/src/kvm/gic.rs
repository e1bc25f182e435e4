//! The interrupt controller, made by KVM: GICv3 where the host has it, else GICv2
//! (Documentation/virt/kvm/devices/arm-vgic-v3.rst, arm-vgic.rst).
#![expect(unsafe_code, reason = "the kernel writes what is read of a device's registers")]

use kvm_bindings::{
    KVM_DEV_ARM_VGIC_CTRL_INIT, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_DEV_ARM_VGIC_GRP_CPU_REGS,
    KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_GRP_DIST_REGS,
    KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO, KVM_DEV_ARM_VGIC_GRP_NR_IRQS,
    KVM_DEV_ARM_VGIC_GRP_REDIST_REGS, KVM_VGIC_V2_ADDR_TYPE_CPU, KVM_VGIC_V2_ADDR_TYPE_DIST,
    KVM_VGIC_V3_ADDR_TYPE_DIST, KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION, kvm_create_device,
    kvm_device_attr, kvm_device_type_KVM_DEV_TYPE_ARM_VGIC_V2,
    kvm_device_type_KVM_DEV_TYPE_ARM_VGIC_V3,
};
use kvm_ioctls::{DeviceFd, VmFd};

use super::error::{Error, doing};
use super::plan::Plan;

/// INTIDs: 32 private ones and 64 SPIs, in KVM's granule of 32.
pub const INTIDS: u32 = 96;

/// Offset of a redistributor's second frame, which has the private interrupts (Arm IHI 0069, 12.10).
const SGI_FRAME: u32 = 0x1_0000;

/// The controller's version and its device. The VM stays as long as this.
pub struct Gic {
    device: DeviceFd,
    is_v3: bool,
}

impl Gic {
    /// Makes the best one the host has. No interrupt works before [`Self::init`].
    pub(super) fn create(vm: &VmFd) -> Result<Self, Error> {
        let create =
            |kind| vm.create_device(&mut kvm_create_device { type_: kind, fd: 0, flags: 0 });
        if let Ok(device) = create(kvm_device_type_KVM_DEV_TYPE_ARM_VGIC_V3) {
            return Ok(Self { device, is_v3: true });
        }
        let device = create(kvm_device_type_KVM_DEV_TYPE_ARM_VGIC_V2)
            .map_err(|_| Error::Missing("an in-kernel GICv3 or GICv2"))?;
        Ok(Self { device, is_v3: false })
    }

    /// Whether it is a GICv3, not a GICv2.
    pub fn is_v3(&self) -> bool {
        self.is_v3
    }

    /// Places the controller and turns it on. All `vcpus` must exist.
    pub(super) fn init(&self, plan: &Plan) -> Result<(), Error> {
        if self.is_v3 {
            self.set_address(KVM_VGIC_V3_ADDR_TYPE_DIST, plan.distributor)?;
            for (index, row) in (0..).zip(&plan.redistributors) {
                // Bits 63:52 count of redistributors, 51:16 base, 11:0 index.
                let value = row.count << 52 | row.base | index;
                self.set_address(KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION, value)?;
            }
        } else {
            self.set_address(KVM_VGIC_V2_ADDR_TYPE_DIST, plan.distributor)?;
            self.set_address(KVM_VGIC_V2_ADDR_TYPE_CPU, plan.cpu_interface)?;
        }
        self.set(KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0, &INTIDS)?;
        self.set(KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT, &0u64)
    }

    fn set_address(&self, kind: u32, value: u64) -> Result<(), Error> {
        self.set(KVM_DEV_ARM_VGIC_GRP_ADDR, kind, &value)
    }

    fn set<T>(&self, group: u32, attr: u32, value: &T) -> Result<(), Error> {
        let request = kvm_device_attr {
            group,
            attr: attr.into(),
            addr: std::ptr::from_ref(value) as u64,
            flags: 0,
        };
        self.device.set_device_attr(&request).map_err(doing("set up the GIC"))
    }

    /// A register of the distributor. A GICv2 has those of the first 32 interrupts once for each vCPU.
    pub fn distributor(&self, vcpu: usize, offset: u32) -> Result<u32, Error> {
        let vcpu = if self.is_v3 { 0 } else { vcpu as u64 };
        self.read(KVM_DEV_ARM_VGIC_GRP_DIST_REGS, vcpu << 32 | u64::from(offset))
    }

    /// A register of a GICv3 redistributor's second frame.
    pub fn redistributor(&self, mpidr: u64, offset: u32) -> Result<u32, Error> {
        let offset = SGI_FRAME + offset;
        self.read(KVM_DEV_ARM_VGIC_GRP_REDIST_REGS, affinity(mpidr) | u64::from(offset))
    }

    /// Which of the 32 inputs from `intid` on of a GICv3 are high.
    pub fn levels(&self, mpidr: u64, intid: u32) -> Result<u32, Error> {
        // VGIC_LEVEL_INFO_LINE_LEVEL in bits 31:10 is 0.
        self.read(KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO, affinity(mpidr) | u64::from(intid))
    }

    /// A register of a GICv3 CPU interface, by its encoding in MRS: op0 in 15:14, op1 in 13:11, CRn in 10:7, CRm in 6:3,
    /// op2 in 2:0.
    pub fn cpu_register(&self, mpidr: u64, encoding: u16) -> Result<u64, Error> {
        self.read(KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS, affinity(mpidr) | u64::from(encoding))
    }

    /// A register of a GICv2 CPU interface.
    pub fn cpu_interface(&self, vcpu: usize, offset: u32) -> Result<u32, Error> {
        self.read(KVM_DEV_ARM_VGIC_GRP_CPU_REGS, (vcpu as u64) << 32 | u64::from(offset))
    }

    /// Reads, which no register here minds: these are not the guest's accesses. All vCPUs are parked.
    fn read<T: Default + Value>(&self, group: u32, attr: u64) -> Result<T, Error> {
        let mut value = T::default();
        let addr = std::ptr::from_mut(&mut value) as u64;
        let mut request = kvm_device_attr { group, attr, addr, flags: 0 };
        // SAFETY: `addr` is `value`'s, which is as wide as the registers of these groups: see `Value`.
        unsafe { self.device.get_device_attr(&mut request) }.map_err(doing("read the GIC"))?;
        Ok(value)
    }
}

/// What KVM writes where a register is read: 32 bits, of system registers 64.
trait Value {}
impl Value for u32 {}
impl Value for u64 {}

/// A vCPU as this device's attributes name it: Aff3 to Aff0 in bits 63:32.
fn affinity(mpidr: u64) -> u64 {
    (mpidr >> 32 & 0xff) << 56 | (mpidr & 0xff_ffff) << 32
}
