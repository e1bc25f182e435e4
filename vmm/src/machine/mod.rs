//! The machine: files, KVM, devices and the debugger put together, and the event loop.

mod console;
mod escape;
mod events;
mod files;
mod output;
mod signals;
mod terminal;

use std::fs::{self, File};
use std::io::Read;
use std::sync::{Arc, Mutex};

use boot::cmdline::command_line;
use boot::fdt::{self, Gic};
use boot::layout;
use boot::load;
use boot::region::Region;
use devices::bus::{Bus, Range};
use devices::pl011::Pl011;
use devices::rtc::Pl031;

use self::console::Console;
use self::files::{Files, chain};
use crate::cli::{Config, GdbAddress};
use crate::debug::engine::Engine;
use crate::debug::server::{Listener, Server};
use crate::debug::target::Guest;
use crate::exit::Outcome;
use crate::kvm::control::{Control, Order, Runner, Undebugged};
use crate::kvm::error::Error;
use crate::kvm::plan::{Plan, Redistributors};
use crate::kvm::vm::Vm;
use crate::message::say;

/// Bytes of entropy for the guest's pool, as QEMU gives.
const RNG_SEED: usize = 32;

/// Runs a guest to its end.
pub fn run(config: &Config) -> Outcome {
    terminal::end_on_panic();
    let outcome = assemble(config).unwrap_or_else(|outcome| outcome);
    terminal::restore();
    outcome
}

fn assemble(config: &Config) -> Result<Outcome, Outcome> {
    let files = Files::open(config)?;
    let cmdline = command_line(&config.cmdline, config.gdb.is_some())
        .map_err(|error| Outcome::Unusable(format!("--cmdline: {}", chain(&error))))?;
    let listener = config.gdb.as_ref().map(listen).transpose()?;
    // Before any thread is made: all of them inherit which signals are blocked.
    let signals = signals::Signals::block().map_err(|error| host("signals", &error))?;

    let vm = Vm::new(&plan(config))?;
    let debug = config.gdb.as_ref().map(|_| vm.debug_support()).transpose()?;
    let dtb = match &files.dtb {
        Some(dtb) => dtb.clone(),
        None => device_tree(config, &vm, &files, &cmdline.text)?,
    };
    if let Some(path) = &config.dump_dtb {
        fs::write(path, dtb).map_err(|error| {
            Outcome::Unusable(format!("--dump-dtb {}: {error}", path.display()))
        })?;
        return Ok(Outcome::PoweredOff);
    }
    if cmdline.appended_nokaslr && files.dtb.is_none() {
        say("added nokaslr to the kernel command line (say kaslr to keep it on)");
    }
    let state =
        load::load(vm.memory().ram(), &files.placement, &files.kernel, files.initrd.as_ref(), &dtb)
            .map_err(|error| Outcome::HostFailed(chain(&error)))?;

    let (bus, uart, console) = devices(&vm)?;
    let engine = debug.map(|support| {
        support.missing().for_each(|what| say(format_args!("gdb: {what}")));
        Arc::new(Engine::new(vm.memory().clone(), support, config.cpus))
    });
    let runner: Arc<dyn Runner> = match &engine {
        Some(engine) => engine.clone(),
        None => Arc::new(Undebugged),
    };
    let control = Arc::new(Control::start(vm.into_vcpus(state.entry, state.dtb, &bus)?, &runner)?);
    let console = console.start(uart).map_err(|error| host("console", &error))?;
    let server = match (listener, engine) {
        (Some(listener), Some(engine)) => {
            say(format_args!("gdb: {}", greeting(config)));
            let mut server = Server::new(listener, Guest::new(control.clone(), engine));
            if config.gdb_nowait {
                server.run_undebugged();
            }
            Some(server)
        }
        _ => {
            control.resume((0..control.len()).map(|_| Some(Order::Continue)));
            None
        }
    };
    events::run(control, server, console, signals).map_err(|error| host("event loop", &error))
}

fn host(what: &str, error: &dyn std::fmt::Display) -> Outcome {
    Outcome::HostFailed(format!("{what}: {error}"))
}

impl From<Error> for Outcome {
    fn from(error: Error) -> Self {
        match error {
            // What the user asked for is more than this host has.
            Error::TooManyVcpus(..) | Error::MemoryBeyondIpa(..) | Error::Memory(..) => {
                Self::Unusable(error.to_string())
            }
            _ => Self::HostFailed(error.to_string()),
        }
    }
}

fn listen(address: &GdbAddress) -> Result<Listener, Outcome> {
    match address {
        GdbAddress::Tcp(host, port) => Listener::tcp(host, *port)
            .map_err(|error| Outcome::Unusable(format!("--gdb {host}:{port}: {error}"))),
        GdbAddress::Unix(path) => Listener::unix(path)
            .map_err(|error| Outcome::Unusable(format!("--gdb unix:{}: {error}", path.display()))),
    }
}

/// What to type into GDB.
fn greeting(config: &Config) -> String {
    let doing =
        if config.gdb_nowait { "listening" } else { "guest waits at its first instruction" };
    let target = match &config.gdb {
        Some(GdbAddress::Tcp(host, port)) if host == "127.0.0.1" => format!(":{port}"),
        Some(GdbAddress::Tcp(host, port)) => format!("{host}:{port}"),
        Some(GdbAddress::Unix(path)) => path.display().to_string(),
        None => String::new(),
    };
    format!("{doing}: target remote {target}")
}

/// The machine map, as far as KVM has a part in it.
fn plan(config: &Config) -> Plan {
    let rows = layout::redistributors(config.cpus.min(layout::MAX_VCPUS_GICV3));
    let redistributors = rows.unwrap_or_default().into_iter().map(|row| Redistributors {
        base: row.start(),
        count: row.size() / layout::GIC_REDIST_STRIDE,
    });
    Plan {
        ram_base: layout::RAM_BASE,
        ram_size: config.memory,
        vcpus: config.cpus,
        distributor: layout::GIC_DIST.start(),
        cpu_interface: layout::GICV2_CPU.start(),
        redistributors: redistributors.collect(),
        pmu_intid: layout::ppi_intid(layout::PMU_PPI),
    }
}

fn device_tree(config: &Config, vm: &Vm, files: &Files, cmdline: &str) -> Result<Vec<u8>, Outcome> {
    let mut rng_seed = [0; RNG_SEED];
    let mut kaslr_seed = [0; 8];
    File::open("/dev/urandom")
        .and_then(|mut file| {
            file.read_exact(&mut rng_seed)?;
            file.read_exact(&mut kaslr_seed)
        })
        .map_err(|error| host("/dev/urandom", &error))?;
    let machine = fdt::Machine {
        mpidrs: &vm.mpidrs()?,
        ram_size: config.memory,
        gic: if vm.is_gicv3() { Gic::V3 } else { Gic::V2 },
        pmu: vm.has_pmu(),
        cmdline,
        initrd: files.placement.initrd,
        rng_seed: &rng_seed,
        kaslr_seed: Some(u64::from_ne_bytes(kaslr_seed)),
    };
    fdt::build(&machine).map_err(|error| host("device tree", &chain(&error)))
}

type Uart = Arc<Mutex<Pl011>>;

/// Puts every device on the bus.
fn devices(vm: &Vm) -> Result<(Arc<Bus>, Uart, Console), Outcome> {
    let mut bus = Bus::new(Box::new(|fault| say(fault)));
    let console = Console::new().map_err(|error| host("console", &error))?;
    let uart_irq = Box::new(vm.irq_line(layout::spi_intid(layout::UART_SPI)));
    let uart = Arc::new(Mutex::new(Pl011::new(uart_irq, Box::new(console.wire()))));
    let rtc = Arc::new(Mutex::new(Pl031::new()));
    let range = |region: Region| {
        Range::new(region.start(), region.size()).map_err(|error| host("bus", &error))
    };
    bus.insert(range(layout::UART)?, "PL011", uart.clone()).map_err(|error| host("bus", &error))?;
    bus.insert(range(layout::RTC)?, "PL031", rtc).map_err(|error| host("bus", &error))?;
    Ok((Arc::new(bus), uart, console))
}
