//! A guest put together: KVM, memory, files and devices. With a debugger this may happen many times,
//! one guest after the other.

use std::cell::OnceCell;
use std::fs::File;
use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use boot::fdt::{self, Gic};
use boot::layout;
use boot::load::BootState;
use boot::region::Region;
use devices::bus::{Bus, Range};
use devices::gpio::Pl061;
use devices::irq::IrqLine;
use devices::pl011::Pl011;
use devices::pvpanic::Pvpanic;
use devices::rtc::Pl031;
use devices::wire::Wire;
use vmm_sys_util::eventfd::EventFd;

use super::button::Button;
use super::console::Line;
use super::files::{Files, chain};
use super::loading::{self, Rest};
use super::port::Port;
use super::resources::Resources;
use super::scout::Scout;
use super::{Uart, host, kernel, transports};
use crate::cli::{Config, Console};
use crate::debug::engine::Engine;
use crate::debug::registers::RegisterSet;
use crate::debug::target::{Handover, Machine};
use crate::exit::Outcome;
use crate::kvm::control::{Control, Runner, Undebugged};
use crate::kvm::plan::{Plan, Redistributors};
use crate::kvm::vm::{DebugSupport, Vm};
use crate::kvm::window::Window;
use crate::message::say;

/// Bytes of entropy for the guest's pool, as QEMU gives.
const RNG_SEED: usize = 32;

/// What every guest is made from, and what outlives it.
pub struct Assembly {
    config: Config,
    /// The kernel's, with what was added to the user's.
    cmdline: String,
    resources: Resources,
    /// Drawn for the first guest, and the same for each, so that what a debugger knows of addresses stays right.
    kaslr_seed: OnceCell<u64>,
    line: Line,
    /// Each guest gets a new one in place of the last.
    uart: Uart,
    /// The same of the power button.
    button: Button,
    stops: Arc<EventFd>,
}

/// Of the UART and the GPIO before there is a VM.
struct Unconnected;

impl IrqLine for Unconnected {
    fn set(&self, _: bool) {}
}

/// Where the UART leads when there is no console.
struct Nowhere;

impl Wire for Nowhere {
    fn transmit(&mut self, bytes: &[u8]) -> usize {
        bytes.len()
    }

    fn receive_ready(&mut self) {}
}

impl Assembly {
    /// For guests of this configuration, one at a time. `stops` becomes readable when one of their vCPUs
    /// stops by itself.
    pub fn new(
        config: &Config,
        cmdline: String,
        resources: Resources,
        line: &Line,
        stops: Arc<EventFd>,
    ) -> Self {
        let kaslr_seed = config.kaslr_seed.map(OnceCell::from).unwrap_or_default();
        let uart = Pl011::new(Box::new(Unconnected), Box::new(line.clone()));
        let uart = Arc::new(Mutex::new(Port::new(uart, Weak::new(), line.clone())));
        let button = Arc::new(Mutex::new(Pl061::new(Box::new(Unconnected))));
        let (config, line) = (config.clone(), line.clone());
        Self { config, cmdline, resources, kaslr_seed, line, uart, button, stops }
    }

    /// The device tree's seed, unless it is the user's tree.
    pub fn kaslr_seed(&self) -> Result<u64, Outcome> {
        if let Some(seed) = self.kaslr_seed.get() {
            return Ok(*seed);
        }
        // 0 stands for none.
        let seed = u64::from_ne_bytes(random()?).max(1);
        Ok(*self.kaslr_seed.get_or_init(|| seed))
    }

    /// The UART that the console is connected to, whatever the guest.
    pub fn uart(&self) -> Uart {
        self.uart.clone()
    }

    /// The power button, whatever the guest.
    pub fn button(&self) -> Button {
        self.button.clone()
    }

    /// Becomes readable when a vCPU stopped by itself, whatever the guest.
    pub fn stops(&self) -> Arc<EventFd> {
        self.stops.clone()
    }

    /// Opens and checks the files, as they are now.
    pub fn open_files(&self) -> Result<Files, Outcome> {
        Files::open(&self.config)
    }

    /// KVM's half, after the machine map.
    pub fn vm(&self) -> Result<Vm, Outcome> {
        Ok(Vm::new(&self.plan())?)
    }

    fn plan(&self) -> Plan {
        let rows = layout::redistributors(self.config.cpus.min(layout::MAX_VCPUS_GICV3));
        let redistributors = rows.unwrap_or_default().into_iter().map(|row| Redistributors {
            base: row.start(),
            count: row.size() / layout::GIC_REDIST_STRIDE,
        });
        Plan {
            ram_base: layout::RAM_BASE,
            ram_size: self.config.memory,
            vcpus: self.config.cpus,
            features: self.config.cpu_features,
            distributor: layout::GIC_DIST.start(),
            cpu_interface: layout::GICV2_CPU.start(),
            redistributors: redistributors.collect(),
            window: layout::UART.start(),
            pmu_intid: layout::ppi_intid(layout::PMU_PPI),
        }
    }

    /// The user's device tree, or one for this VM.
    pub fn device_tree(&self, vm: &Vm, files: &Files) -> Result<Vec<u8>, Outcome> {
        if let Some(dtb) = &files.dtb {
            return Ok(dtb.clone());
        }
        let rng_seed = random::<RNG_SEED>()?;
        let machine = fdt::Machine {
            mpidrs: &vm.mpidrs()?,
            ram_size: self.config.memory,
            gic: if vm.is_gicv3() { Gic::V3 } else { Gic::V2 },
            pmu: vm.has_pmu(),
            uart: self.config.console != Console::None,
            virtio: transports::names(&self.resources, &self.line).len(),
            cmdline: &self.cmdline,
            initrd: files.placement.initrd,
            rng_seed: &rng_seed,
            kaslr_seed: Some(self.kaslr_seed()?),
        };
        fdt::build(&machine).map_err(|error| host("device tree", &chain(&error)))
    }

    /// A guest that waits for its debugger.
    pub fn debugged(
        &self,
        vm: Vm,
        support: DebugSupport,
        files: Files,
    ) -> Result<Machine, Outcome> {
        let registers = Arc::new(RegisterSet::of(&vm)?);
        let memory = vm.memory().clone();
        let engine = Arc::new(Engine::new(memory, registers, support, self.config.cpus));
        let runner: Arc<dyn Runner> = engine.clone();
        let dtb = self.device_tree(&vm, &files)?;
        let state = loading::load_all(vm.memory(), &files, &dtb)?;
        let gic = vm.gic();
        let handover = Handover { dtb: dtb.clone(), interrupts: self.interrupts() };
        let control = self.start(vm, state, &runner)?;
        let has_tree = files.dtb.is_some();
        let Files { kernel, kind, placement, vmlinux, .. } = files;
        let is_fixed = !has_tree && !self.may_relocate();
        // Without a seed it may be the CPU's random numbers (FEAT_RNG).
        let is_certain = !has_tree && self.kaslr_seed()? != 0;
        let scout = Scout { plan: self.plan(), kernel, placement, dtb, is_certain };
        let program = kernel::program(scout, kind, vmlinux, is_fixed)?;
        Ok(Machine { control, engine, program, gic, handover })
    }

    /// Whether the command line leaves it to Linux to move itself.
    pub fn may_relocate(&self) -> bool {
        let mut words = self.cmdline.split(' ').take_while(|word| *word != "--");
        !words.any(|word| word == "nokaslr")
    }

    /// A guest for itself. It waits to be resumed, too; what of its files it does not need at once is left to load
    /// while it runs.
    pub fn undebugged(&self, vm: Vm, files: Files) -> Result<(Control, Option<Rest>), Outcome> {
        let runner: Arc<dyn Runner> = Arc::new(Undebugged);
        let dtb = self.device_tree(&vm, &files)?;
        let (state, rest) = loading::load_first(vm.memory(), files, dtb)?;
        Ok((self.start(vm, state, &runner)?, rest))
    }

    fn start(
        &self,
        vm: Vm,
        state: BootState,
        runner: &Arc<dyn Runner>,
    ) -> Result<Control, Outcome> {
        let bus = Arc::new(self.bus(&vm)?);
        let vcpus = vm.into_vcpus(state.entry, state.dtb, &bus)?;
        Ok(Control::start(vcpus, runner, &self.stops)?)
    }

    /// By INTID, what the machine has on them.
    fn interrupts(&self) -> Vec<(u32, &'static str)> {
        const TIMERS: [&str; 4] =
            ["secure physical timer", "physical timer", "virtual timer", "hypervisor timer"];
        let private = layout::TIMER_PPIS.into_iter().zip(TIMERS).chain([(layout::PMU_PPI, "PMU")]);
        let shared =
            [(layout::UART_SPI, "PL011"), (layout::RTC_SPI, "PL031"), (layout::GPIO_SPI, "PL061")];
        let virtio =
            (layout::VIRTIO_MMIO_SPI..).zip(transports::names(&self.resources, &self.line));
        private
            .map(|(ppi, name)| (layout::ppi_intid(ppi), name))
            .chain(
                shared.into_iter().chain(virtio).map(|(spi, name)| (layout::spi_intid(spi), name)),
            )
            .collect()
    }

    /// A new UART. Without a console it is still there, for guests that know of it without a device tree, and connected to
    /// nothing.
    fn port(&self, irq: Box<dyn IrqLine>, window: Weak<Mutex<Window>>) -> Port {
        let line = self.line.clone();
        match self.config.console {
            Console::None => Port::new(Pl011::new(irq, Box::new(Nowhere)), Weak::new(), line),
            _ => Port::new(Pl011::new(irq, Box::new(line.clone())), window, line),
        }
    }

    /// New devices.
    fn bus(&self, vm: &Vm) -> Result<Bus, Outcome> {
        self.line.begin_anew();
        let irq = Box::new(vm.irq_line(layout::spi_intid(layout::UART_SPI)));
        *self.uart.lock().unwrap_or_else(PoisonError::into_inner) = self.port(irq, vm.window());
        let rtc = Arc::new(Mutex::new(Pl031::new()));
        let irq = Box::new(vm.irq_line(layout::spi_intid(layout::GPIO_SPI)));
        *self.button.lock().unwrap_or_else(PoisonError::into_inner) = Pl061::new(irq);
        let line = self.line.clone();
        let pvpanic = Pvpanic::new(Box::new(move |event| line.note_panic(event)));

        let mut bus = Bus::new(Box::new(|fault| say(fault)));
        let range = |region: Region| {
            Range::new(region.start(), region.size()).map_err(|error| host("bus", &error))
        };
        bus.insert(range(layout::UART)?, "PL011", self.uart.clone())
            .map_err(|error| host("bus", &error))?;
        bus.insert(range(layout::RTC)?, "PL031", rtc).map_err(|error| host("bus", &error))?;
        bus.insert(range(layout::GPIO)?, "PL061", self.button.clone())
            .map_err(|error| host("bus", &error))?;
        bus.insert(range(layout::PVPANIC)?, "pvpanic", Arc::new(Mutex::new(pvpanic)))
            .map_err(|error| host("bus", &error))?;
        transports::insert(&mut bus, vm, &self.resources, &self.line)?;
        Ok(bus)
    }
}

/// Bytes that nobody can foresee.
fn random<const N: usize>() -> Result<[u8; N], Outcome> {
    let mut bytes = [0; N];
    File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(|error| host("/dev/urandom", &error))?;
    Ok(bytes)
}
