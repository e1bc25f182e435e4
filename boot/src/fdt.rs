//! The device tree that describes the machine to its guest: the nodes and names of QEMU's `virt`.
//!
//! Specification: Devicetree Specification v0.4, and the bindings in Linux Documentation/devicetree/bindings
//! that each node names. No node for what the machine does not have (PCIe, flash, fw_cfg).

use std::error::Error;
use std::fmt;

use vm_fdt::FdtWriter;

use crate::layout::{
    APB_CLOCK_HZ, GIC_DIST, GICV2_CPU, GPIO, GPIO_SPI, MAX_VCPUS_GICV2, MAX_VCPUS_GICV3, PMU_PPI,
    POWER_BUTTON, PVPANIC, RAM_BASE, RTC, RTC_SPI, TIMER_PPIS, UART, UART_SPI, VIRTIO_MMIO_SPI,
    redistributors, virtio_mmio,
};
use crate::placement::DTB_SIZE;
use crate::region::Region;

/// Which interrupt controller the machine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gic {
    /// GICv2: at most [`MAX_VCPUS_GICV2`] vCPUs.
    V2,
    /// GICv3: at most [`MAX_VCPUS_GICV3`] vCPUs, with the redistributors that [`redistributors`] gives.
    V3,
}

/// What differs from one machine to the next.
#[derive(Clone, Copy, Debug)]
pub struct Machine<'a> {
    /// MPIDR_EL1 of every vCPU, the boot CPU first. Only the affinity fields count.
    pub mpidrs: &'a [u64],
    /// Size of RAM in bytes.
    pub ram_size: u64,
    /// Interrupt controller.
    pub gic: Gic,
    /// Whether the vCPUs have a PMU.
    pub pmu: bool,
    /// Whether the guest is told of the UART.
    pub uart: bool,
    /// How many virtio-mmio transports have a device; what there is no room for is left out.
    pub virtio: usize,
    /// Kernel command line.
    pub cmdline: &'a str,
    /// Where the initrd is.
    pub initrd: Option<Region>,
    /// Random bytes for the guest's entropy pool; none if empty.
    pub rng_seed: &'a [u8],
    /// Where a Linux kernel that may move itself moves to; random. Without it, one on a CPU that has
    /// no random numbers stays where it is.
    pub kaslr_seed: Option<u64>,
}

/// MPIDR_EL1.Aff3 and Aff2, Aff1, Aff0 (Arm ARM, D24.2).
const MPIDR_AFFINITY: u64 = 0xff_00ff_ffff;

const GIC_PHANDLE: u32 = 1;
const CLOCK_PHANDLE: u32 = 2;
const GPIO_PHANDLE: u32 = 3;

/// KEY_POWER (Linux, include/uapi/linux/input-event-codes.h).
const KEY_POWER: u32 = 116;

/// Interrupt specifiers: type, number, flags (interrupt-controller/arm,gic-v3.yaml).
const IRQ_SPI: u32 = 0;
const IRQ_PPI: u32 = 1;
/// Active high and level-sensitive, which for GICv3 is the only level there is.
const IRQ_LEVEL_HIGH: u32 = 4;
/// GICv2 wants a PPI's CPUs in bits 8 to 15 (interrupt-controller/arm,gic.yaml).
const IRQ_CPU_MASK_SHIFT: u32 = 8;

type Result<T> = std::result::Result<T, FdtError>;

/// Makes the blob.
pub fn build(machine: &Machine) -> Result<Vec<u8>> {
    let max = match machine.gic {
        Gic::V2 => MAX_VCPUS_GICV2,
        Gic::V3 => MAX_VCPUS_GICV3,
    };
    let found = machine.mpidrs.len();
    if found == 0 || found > max {
        return Err(FdtError::Vcpus { found, max });
    }

    let mut fdt = FdtWriter::new()?;
    node(&mut fdt, "", |fdt| {
        fdt.property_string("compatible", "linux,dummy-virt")?;
        fdt.property_string("model", "linux,dummy-virt")?;
        fdt.property_u32("#address-cells", 2)?;
        fdt.property_u32("#size-cells", 2)?;
        fdt.property_u32("interrupt-parent", GIC_PHANDLE)?;
        if machine.uart {
            aliases(fdt)?;
        }
        chosen(fdt, machine)?;
        memory(fdt, machine.ram_size)?;
        cpus(fdt, machine.mpidrs)?;
        psci(fdt)?;
        timer(fdt, machine)?;
        if machine.pmu {
            pmu(fdt, machine)?;
        }
        intc(fdt, machine)?;
        apb_clock(fdt)?;
        if machine.uart {
            uart(fdt)?;
        }
        rtc(fdt)?;
        gpio(fdt)?;
        gpio_keys(fdt)?;
        pvpanic(fdt)?;
        (0..machine.virtio).try_for_each(|number| virtio(fdt, number))
    })?;
    let blob = fdt.finish()?;
    if blob.len() as u64 > DTB_SIZE {
        return Err(FdtError::TooLong { found: blob.len() as u64 });
    }
    Ok(blob)
}

fn node(
    fdt: &mut FdtWriter,
    name: &str,
    content: impl FnOnce(&mut FdtWriter) -> Result<()>,
) -> Result<()> {
    let open = fdt.begin_node(name)?;
    content(fdt)?;
    Ok(fdt.end_node(open)?)
}

fn aliases(fdt: &mut FdtWriter) -> Result<()> {
    node(fdt, "aliases", |fdt| Ok(fdt.property_string("serial0", &format!("/{}", uart_name()))?))
}

/// dt-schema's schemas/chosen.yaml.
fn chosen(fdt: &mut FdtWriter, machine: &Machine) -> Result<()> {
    node(fdt, "chosen", |fdt| {
        fdt.property_string("bootargs", machine.cmdline)?;
        if machine.uart {
            fdt.property_string("stdout-path", &format!("/{}", uart_name()))?;
        }
        if let Some(initrd) = machine.initrd {
            fdt.property_u64("linux,initrd-start", initrd.start())?;
            fdt.property_u64("linux,initrd-end", initrd.end())?;
        }
        if !machine.rng_seed.is_empty() {
            fdt.property("rng-seed", machine.rng_seed)?;
        }
        if let Some(seed) = machine.kaslr_seed {
            fdt.property_u64("kaslr-seed", seed)?;
        }
        Ok(())
    })
}

fn memory(fdt: &mut FdtWriter, size: u64) -> Result<()> {
    node(fdt, &format!("memory@{RAM_BASE:x}"), |fdt| {
        fdt.property_string("device_type", "memory")?;
        Ok(fdt.property_array_u64("reg", &[RAM_BASE, size])?)
    })
}

/// arm/cpus.yaml: one address cell will do unless an MPIDR has Aff3.
fn cpus(fdt: &mut FdtWriter, mpidrs: &[u64]) -> Result<()> {
    let affinities = || mpidrs.iter().map(|mpidr| mpidr & MPIDR_AFFINITY);
    let wide = affinities().any(|affinity| affinity > u64::from(u32::MAX));
    node(fdt, "cpus", |fdt| {
        fdt.property_u32("#address-cells", if wide { 2 } else { 1 })?;
        fdt.property_u32("#size-cells", 0)?;
        for affinity in affinities() {
            node(fdt, &format!("cpu@{affinity:x}"), |fdt| {
                fdt.property_string("device_type", "cpu")?;
                fdt.property_string("compatible", "arm,armv8")?;
                fdt.property_string("enable-method", "psci")?;
                if wide {
                    fdt.property_u64("reg", affinity)?;
                } else {
                    fdt.property_u32("reg", affinity as u32)?;
                }
                Ok(())
            })?;
        }
        Ok(())
    })
}

/// arm/psci.yaml.
fn psci(fdt: &mut FdtWriter) -> Result<()> {
    node(fdt, "psci", |fdt| {
        compatible(fdt, &["arm,psci-1.0", "arm,psci-0.2"])?;
        Ok(fdt.property_string("method", "hvc")?)
    })
}

/// timer/arm,arch_timer.yaml.
fn timer(fdt: &mut FdtWriter, machine: &Machine) -> Result<()> {
    node(fdt, "timer", |fdt| {
        compatible(fdt, &["arm,armv8-timer"])?;
        let cells = TIMER_PPIS.map(|ppi| interrupt_ppi(machine, ppi));
        fdt.property_array_u32("interrupts", cells.as_flattened())?;
        // It counts on while a vCPU sleeps.
        Ok(fdt.property_null("always-on")?)
    })
}

/// arm/pmu.yaml.
fn pmu(fdt: &mut FdtWriter, machine: &Machine) -> Result<()> {
    node(fdt, "pmu", |fdt| {
        compatible(fdt, &["arm,armv8-pmuv3"])?;
        Ok(fdt.property_array_u32("interrupts", &interrupt_ppi(machine, PMU_PPI))?)
    })
}

/// interrupt-controller/arm,gic.yaml and arm,gic-v3.yaml. Address cells and ranges are for an MSI frame or ITS.
fn intc(fdt: &mut FdtWriter, machine: &Machine) -> Result<()> {
    node(fdt, &format!("intc@{:x}", GIC_DIST.start()), |fdt| {
        let mut reg = vec![GIC_DIST];
        match machine.gic {
            Gic::V2 => {
                compatible(fdt, &["arm,cortex-a15-gic"])?;
                reg.push(GICV2_CPU);
            }
            Gic::V3 => {
                compatible(fdt, &["arm,gic-v3"])?;
                let regions = redistributors(machine.mpidrs.len()).unwrap_or_default();
                fdt.property_u32("#redistributor-regions", regions.len() as u32)?;
                reg.extend(regions);
            }
        }
        fdt.property_phandle(GIC_PHANDLE)?;
        fdt.property_null("interrupt-controller")?;
        fdt.property_u32("#interrupt-cells", 3)?;
        fdt.property_u32("#address-cells", 2)?;
        fdt.property_u32("#size-cells", 2)?;
        fdt.property_null("ranges")?;
        let cells: Vec<u64> =
            reg.iter().flat_map(|region| [region.start(), region.size()]).collect();
        Ok(fdt.property_array_u64("reg", &cells)?)
    })
}

/// clock/fixed-clock.yaml. Linux's AMBA bus probes no device without its clock.
fn apb_clock(fdt: &mut FdtWriter) -> Result<()> {
    node(fdt, "apb-pclk", |fdt| {
        fdt.property_string("compatible", "fixed-clock")?;
        fdt.property_phandle(CLOCK_PHANDLE)?;
        fdt.property_u32("#clock-cells", 0)?;
        fdt.property_u32("clock-frequency", APB_CLOCK_HZ)?;
        Ok(fdt.property_string("clock-output-names", "clk24mhz")?)
    })
}

fn uart_name() -> String {
    format!("pl011@{:x}", UART.start())
}

/// serial/pl011.yaml.
fn uart(fdt: &mut FdtWriter) -> Result<()> {
    node(fdt, &uart_name(), |fdt| {
        compatible(fdt, &["arm,pl011", "arm,primecell"])?;
        device(fdt, UART, UART_SPI)?;
        fdt.property_array_u32("clocks", &[CLOCK_PHANDLE, CLOCK_PHANDLE])?;
        Ok(fdt.property("clock-names", &strings(&["uartclk", "apb_pclk"]))?)
    })
}

/// rtc/arm,pl031.yaml.
fn rtc(fdt: &mut FdtWriter) -> Result<()> {
    node(fdt, &format!("pl031@{:x}", RTC.start()), |fdt| {
        compatible(fdt, &["arm,pl031", "arm,primecell"])?;
        device(fdt, RTC, RTC_SPI)?;
        fdt.property_u32("clocks", CLOCK_PHANDLE)?;
        Ok(fdt.property_string("clock-names", "apb_pclk")?)
    })
}

/// gpio/pl061-gpio.yaml.
fn gpio(fdt: &mut FdtWriter) -> Result<()> {
    node(fdt, &format!("pl061@{:x}", GPIO.start()), |fdt| {
        compatible(fdt, &["arm,pl061", "arm,primecell"])?;
        device(fdt, GPIO, GPIO_SPI)?;
        fdt.property_phandle(GPIO_PHANDLE)?;
        fdt.property_null("gpio-controller")?;
        fdt.property_u32("#gpio-cells", 2)?;
        fdt.property_u32("clocks", CLOCK_PHANDLE)?;
        Ok(fdt.property_string("clock-names", "apb_pclk")?)
    })
}

/// input/gpio-keys.yaml: the power button, active high.
fn gpio_keys(fdt: &mut FdtWriter) -> Result<()> {
    const ACTIVE_HIGH: u32 = 0;
    node(fdt, "gpio-keys", |fdt| {
        compatible(fdt, &["gpio-keys"])?;
        node(fdt, "poweroff", |fdt| {
            fdt.property_string("label", "GPIO Key Poweroff")?;
            fdt.property_u32("linux,code", KEY_POWER)?;
            let cells = [GPIO_PHANDLE, POWER_BUTTON.into(), ACTIVE_HIGH];
            Ok(fdt.property_array_u32("gpios", &cells)?)
        })
    })
}

/// misc/pvpanic-mmio.txt.
fn pvpanic(fdt: &mut FdtWriter) -> Result<()> {
    node(fdt, &format!("pvpanic@{:x}", PVPANIC.start()), |fdt| {
        compatible(fdt, &["qemu,pvpanic-mmio"])?;
        Ok(fdt.property_array_u64("reg", &[PVPANIC.start(), PVPANIC.size()])?)
    })
}

/// virtio/mmio.yaml. Devices see memory as the CPUs do.
fn virtio(fdt: &mut FdtWriter, number: usize) -> Result<()> {
    let Some(region) = virtio_mmio(number) else { return Ok(()) };
    node(fdt, &format!("virtio_mmio@{:x}", region.start()), |fdt| {
        compatible(fdt, &["virtio,mmio"])?;
        device(fdt, region, VIRTIO_MMIO_SPI + number as u32)?;
        Ok(fdt.property_null("dma-coherent")?)
    })
}

fn device(fdt: &mut FdtWriter, region: Region, spi: u32) -> Result<()> {
    fdt.property_array_u64("reg", &[region.start(), region.size()])?;
    Ok(fdt.property_array_u32("interrupts", &[IRQ_SPI, spi, IRQ_LEVEL_HIGH])?)
}

fn interrupt_ppi(machine: &Machine, ppi: u32) -> [u32; 3] {
    let cpus = match machine.gic {
        // At most eight, as `build` has checked.
        Gic::V2 => (1 << machine.mpidrs.len()) - 1,
        Gic::V3 => 0,
    };
    [IRQ_PPI, ppi, cpus << IRQ_CPU_MASK_SHIFT | IRQ_LEVEL_HIGH]
}

fn compatible(fdt: &mut FdtWriter, names: &[&str]) -> Result<()> {
    Ok(fdt.property("compatible", &strings(names))?)
}

/// A string list: each one ends with NUL.
fn strings(list: &[&str]) -> Vec<u8> {
    list.iter().flat_map(|text| text.bytes().chain([0])).collect()
}

/// Why there is no device tree for a machine. Its caller asked for one that cannot be.
#[derive(Debug, PartialEq, Eq)]
pub enum FdtError {
    /// The interrupt controller does not serve that many vCPUs, or there is none.
    Vcpus {
        /// vCPUs asked for.
        found: usize,
        /// vCPUs that the interrupt controller serves.
        max: usize,
    },
    /// The blob is longer than the boot protocol allows.
    TooLong {
        /// Length in bytes.
        found: u64,
    },
    /// A value cannot be written, such as a command line with a NUL in it.
    Write(vm_fdt::Error),
}

impl From<vm_fdt::Error> for FdtError {
    fn from(error: vm_fdt::Error) -> Self {
        Self::Write(error)
    }
}

impl fmt::Display for FdtError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vcpus { found, max } => {
                write!(f, "device tree: {found} vCPUs, expected 1 to {max}")
            }
            Self::TooLong { found } => {
                write!(f, "device tree: {found:#x} bytes, expected at most {DTB_SIZE:#x}")
            }
            Self::Write(_) => write!(f, "device tree: cannot be written"),
        }
    }
}

impl Error for FdtError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Write(error) => Some(error),
            Self::Vcpus { .. } | Self::TooLong { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod walk;
