//! The interrupt controller, made by KVM: GICv3 where the host has it, else GICv2
//! (Documentation/virt/kvm/devices/arm-vgic-v3.rst, arm-vgic.rst).
use kvm_bindings::{
    KVM_DEV_ARM_VGIC_CTRL_INIT, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_DEV_ARM_VGIC_GRP_CTRL,
    KVM_DEV_ARM_VGIC_GRP_NR_IRQS, KVM_VGIC_V2_ADDR_TYPE_CPU, KVM_VGIC_V2_ADDR_TYPE_DIST,
    KVM_VGIC_V3_ADDR_TYPE_DIST, KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION, kvm_create_device,
    kvm_device_attr, kvm_device_type_KVM_DEV_TYPE_ARM_VGIC_V2,
    kvm_device_type_KVM_DEV_TYPE_ARM_VGIC_V3,
};
use kvm_ioctls::{DeviceFd, VmFd};

use super::error::{Error, doing};
use super::plan::Plan;

/// INTIDs: 32 private ones and 64 SPIs, in KVM's granule of 32.
const INTIDS: u32 = 96;
/// The controller's version and its device. KVM keeps the device alive with the VM.
pub(super) struct Gic {
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

    pub(super) fn is_v3(&self) -> bool {
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
}
