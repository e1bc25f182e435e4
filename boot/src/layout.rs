//! The machine's map: a compatible subset of QEMU's `virt`, so that guests written for it run unchanged.
//!
//! Addresses and sizes are guest physical, in bytes. Interrupts are numbered as device trees number them:
//! SPIs and PPIs from 0 each; [`spi_intid`] and [`ppi_intid`] give what the GIC and KVM call INTID.

use crate::region::Region;

/// Start of RAM. 1 GiB aligned, so RAM begins a window of the kind an initrd must share with its kernel.
pub const RAM_BASE: u64 = 0x4000_0000;

/// RAM ends at the latest where the second redistributor region starts: 255 GiB, in bytes.
pub const MAX_RAM: u64 = GIC_REDIST2.start() - RAM_BASE;

/// GIC distributor, of GICv2 and GICv3 alike.
pub const GIC_DIST: Region = Region::fixed(0x0800_0000, 0x1_0000);

/// GICv2 CPU interface. QEMU reserves 0x1_0000 bytes, KVM backs 0x2000 of them (`KVM_VGIC_V2_CPU_SIZE`).
pub const GICV2_CPU: Region = Region::fixed(0x0801_0000, 0x2000);

/// Room for the GICv3 redistributors of the first 123 vCPUs.
pub const GIC_REDIST: Region = Region::fixed(0x080a_0000, 0x00f6_0000);

/// Room for the GICv3 redistributors of 512 vCPUs more, at 256 GiB.
pub const GIC_REDIST2: Region = Region::fixed(0x40_0000_0000, 0x0400_0000);

/// One redistributor: an RD_base and an SGI_base frame of 64 KiB each (GICv3 specification, 12.10).
pub const GIC_REDIST_STRIDE: u64 = 0x2_0000;

/// vCPUs a GICv2 can serve: its targets registers have one byte an interrupt.
pub const MAX_VCPUS_GICV2: usize = 8;

/// vCPUs whose redistributors fit into the map: 635, more than KVM makes.
pub const MAX_VCPUS_GICV3: usize =
    ((GIC_REDIST.size() + GIC_REDIST2.size()) / GIC_REDIST_STRIDE) as usize;

/// PL011 UART.
pub const UART: Region = Region::fixed(0x0900_0000, 0x1000);
/// The UART's SPI.
pub const UART_SPI: u32 = 1;

/// PL031 real-time clock.
pub const RTC: Region = Region::fixed(0x0901_0000, 0x1000);
/// The real-time clock's SPI.
pub const RTC_SPI: u32 = 2;

/// PL061 GPIO, for the power button.
pub const GPIO: Region = Region::fixed(0x0903_0000, 0x1000);
/// The GPIO's SPI.
pub const GPIO_SPI: u32 = 7;
/// The GPIO's line that the power button drives.
pub const POWER_BUTTON: u8 = 3;

/// pvpanic, in room that QEMU leaves free.
pub const PVPANIC: Region = Region::fixed(0x090f_0000, 1);

/// Clock of UART, RTC and GPIO in Hz.
pub const APB_CLOCK_HZ: u32 = 24_000_000;

/// Room for 32 virtio-mmio transports.
pub const VIRTIO_MMIO: Region = Region::fixed(0x0a00_0000, 32 * VIRTIO_MMIO_STRIDE);
/// Bytes from one virtio-mmio transport to the next.
pub const VIRTIO_MMIO_STRIDE: u64 = 0x200;
/// SPI of the first virtio-mmio transport; each next one has the next.
pub const VIRTIO_MMIO_SPI: u32 = 16;

/// The virtio-mmio transport with this number, from 0 on; `None` if there is no room for it.
pub fn virtio_mmio(number: usize) -> Option<Region> {
    let start =
        (number as u64).checked_mul(VIRTIO_MMIO_STRIDE)?.checked_add(VIRTIO_MMIO.start())?;
    Region::new(start, VIRTIO_MMIO_STRIDE).filter(|region| region.end() <= VIRTIO_MMIO.end())
}

/// Generic timer PPIs in the order of the binding: secure physical, physical, virtual, hypervisor.
pub const TIMER_PPIS: [u32; 4] = [13, 14, 11, 10];
/// PMU overflow PPI.
pub const PMU_PPI: u32 = 7;

/// INTID of an SPI.
pub const fn spi_intid(spi: u32) -> u32 {
    32 + spi
}

/// INTID of a PPI.
pub const fn ppi_intid(ppi: u32) -> u32 {
    16 + ppi
}

/// The redistributor regions for `vcpus`, one or two, each just as long as its vCPUs need
/// ([`GIC_REDIST_STRIDE`] each). `None` for no vCPU or more than [`MAX_VCPUS_GICV3`].
///
/// KVM and the device tree are both told these, so they cannot disagree.
pub fn redistributors(vcpus: usize) -> Option<Vec<Region>> {
    if vcpus > MAX_VCPUS_GICV3 {
        return None;
    }
    let size = vcpus as u64 * GIC_REDIST_STRIDE;
    let first = size.min(GIC_REDIST.size());
    let mut regions = vec![Region::new(GIC_REDIST.start(), first)?];
    regions.extend(Region::new(GIC_REDIST2.start(), size - first));
    Some(regions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_the_map_overlaps() {
        let map = [
            GIC_DIST,
            GICV2_CPU,
            GIC_REDIST,
            UART,
            RTC,
            GPIO,
            PVPANIC,
            VIRTIO_MMIO,
            Region::fixed(RAM_BASE, MAX_RAM),
            GIC_REDIST2,
        ];

        for (n, one) in map.iter().enumerate() {
            for other in &map[n + 1..] {
                assert!(!one.overlaps(*other), "{one} and {other}");
            }
        }
    }

    #[test]
    fn ram_may_have_255_gib() {
        assert_eq!(MAX_RAM, 255 << 30);
    }

    #[test]
    fn redistributors_spill_into_the_second_region_from_the_124th_on() {
        let first = |size| Region::fixed(0x080a_0000, size);
        let second = |size| Region::fixed(0x40_0000_0000, size);

        assert_eq!(redistributors(0), None);
        assert_eq!(redistributors(1), Some(vec![first(0x2_0000)]));
        assert_eq!(redistributors(123), Some(vec![first(0xf6_0000)]));
        assert_eq!(redistributors(124), Some(vec![first(0xf6_0000), second(0x2_0000)]));
        assert_eq!(redistributors(635), Some(vec![first(0xf6_0000), second(0x400_0000)]));
        assert_eq!(redistributors(636), None);
        assert_eq!(redistributors(usize::MAX), None);
    }

    #[test]
    fn there_is_room_for_32_transports() {
        assert_eq!(virtio_mmio(0), Region::new(0x0a00_0000, 0x200));
        assert_eq!(virtio_mmio(31), Region::new(0x0a00_3e00, 0x200));
        assert_eq!(virtio_mmio(32), None);
        assert_eq!(virtio_mmio(usize::MAX), None);
    }

    #[test]
    fn intids_leave_room_for_sgis_and_ppis() {
        assert_eq!(spi_intid(UART_SPI), 33);
        assert_eq!(ppi_intid(PMU_PPI), 23);
    }
}
