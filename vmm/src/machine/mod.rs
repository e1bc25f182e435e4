//! The machine: files, KVM, devices and the debugger put together, and the event loop.

mod assembly;
mod button;
mod console;
mod escape;
mod events;
mod files;
mod hang;
mod kernel;
mod loading;
mod lock;
mod network;
mod output;
mod parent;
mod port;
mod ports;
mod report;
mod resources;
mod scout;
mod signals;
mod size;
mod sockets;
mod storage;
mod terminal;
mod timers;
mod transports;

use std::cell::RefCell;
use std::fs;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use boot::cmdline::{self, command_line};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use self::assembly::Assembly;
use self::console::{Console, Ends};
use self::events::{Guest, Insight, Parts};
use self::files::{Files, chain};
use self::kernel::Names;
use self::loading::Loading;
use self::port::Port;
use self::ports::Ports;
use self::report::{Facts, Report};
use self::resources::Resources;
use self::timers::Countdown;
use crate::cli::ending::OnPanic;
use crate::cli::{self, Config, GdbAddress};
use crate::debug::server::Server;
use crate::debug::target;
use crate::debug::transport::{Listener, Stdio, Transport};
use crate::exit::Outcome;
use crate::kvm::control::Order;
use crate::kvm::error::Error;
use crate::log::Log;
use crate::message::say;
use crate::reader::Reader;

type Uart = Arc<Mutex<Port>>;

/// Runs a guest to its end.
pub fn run(config: &Config) -> Outcome {
    terminal::end_on_panic();
    let start = Instant::now();
    // Before it can be gone: then there is another one.
    let parent = parent::watch();
    let report = match config.ending.report.as_deref().map(Report::open).transpose() {
        Ok(report) => report,
        Err(outcome) => return outcome,
    };
    let ended = assemble(config, parent);
    let (outcome, facts) = ended.unwrap_or_else(|outcome| (outcome, Facts::default()));
    terminal::restore();
    facts.whereabouts.iter().for_each(say);
    if let Some(report) = report {
        report.write(start, &outcome, &facts);
    }
    outcome
}

fn assemble(config: &Config, parent: Option<OwnedFd>) -> Result<(Outcome, Facts), Outcome> {
    let files = Files::open(config)?;
    // While signals end it: the log may be a pipe that nobody reads yet. And before there are sockets to remove.
    let log = Log::open(config.ending.console_log.as_deref())?;
    let resources = Resources::open(config)?;
    let cmdline = command_line(&with_devices(config), config.gdb.is_some())
        .map_err(|error| Outcome::Unusable(format!("--cmdline: {}", chain(&error))))?;
    // While there is but one thread.
    let transport = config.gdb.as_ref().map(transport).transpose()?;
    // Before any other is made: all of them inherit which signals are blocked.
    let signals = signals::Signals::block().map_err(|error| host("signals", &error))?;

    let ends = match (config.console, &config.gdb) {
        (cli::Console::None, _) => Ends::Nothing,
        (_, Some(GdbAddress::Stdio)) => Ends::Error,
        _ => Ends::InputAndOutput,
    };
    let console = Console::new(config.console, ends, Reader::new(&config.ending));
    let console = console.map_err(|error| host("console", &error))?;
    let bell = resources.ports.as_ref().map(Ports::bell);
    let stops = EventFd::new(EFD_NONBLOCK).map_err(|error| host("eventfd", &error))?;
    let assembly = Assembly::new(config, cmdline.text, resources, console.line(), Arc::new(stops));
    let vm = assembly.vm()?;
    // For a debugger that may come at any time, or when the kernel has panicked.
    let is_debugged = config.gdb.is_some() || config.ending.on_panic == OnPanic::Gdb;
    let support = is_debugged.then(|| vm.debug_support()).transpose()?;
    if let Some(path) = &config.dump_dtb {
        fs::write(path, assembly.device_tree(&vm, &files)?).map_err(|error| {
            Outcome::Unusable(format!("--dump-dtb {}: {error}", path.display()))
        })?;
        return Ok((Outcome::PoweredOff, Facts::default()));
    }
    if cmdline.appended_nokaslr && files.dtb.is_none() {
        say("added nokaslr to the kernel command line (say kaslr to keep it on)");
    }

    if config.gdb.is_some() && files.dtb.is_none() && assembly.may_relocate() {
        say(format_args!("KASLR is on: --kaslr-seed {:#x} repeats it", assembly.kaslr_seed()?));
    }

    let start_console = |console: Console| {
        console.start(assembly.uart(), log).map_err(|error| host("console", &error))
    };
    let stops = assembly.stops();
    let button = assembly.button();
    let names: Names = Rc::new(RefCell::new(kernel::names(&files)));
    let (guest, console) = match support {
        Some(support) => {
            support.missing().for_each(|what| say(format_args!("gdb: {what}")));
            let machine = assembly.debugged(vm, support, files)?;
            let console = start_console(console)?;
            let guest = target::Guest::new(machine, prepare(Rc::new(assembly), names.clone()));
            let mut server = Server::new(transport, guest);
            if config.gdb.is_some() {
                say(format_args!("gdb: {}", greeting(config, &server)));
            }
            if config.gdb_nowait || config.gdb.is_none() {
                server.run_undebugged();
            }
            (Guest::Debugged(Box::new(server)), console)
        }
        None => {
            let is_fixed = files.dtb.is_none() && !assembly.may_relocate();
            let insight =
                Insight { memory: vm.memory().clone(), program: kernel::known(&files, is_fixed) };
            let (control, rest) = assembly.undebugged(vm, files)?;
            let console = start_console(console)?;
            // First: without it the guest would find zeroes.
            let loading = rest.map(|rest| Loading::start(rest, stops.clone())).transpose();
            let loading = loading.map_err(|error| host("loader", &error))?;
            control.resume((0..control.len()).map(|_| Some(Order::Continue)));
            (Guest::Alone(control, loading, insight), console)
        }
    };
    let timeout = config.ending.timeout.map(Countdown::start).transpose();
    let timeout = timeout.map_err(|error| host("timer", &error))?;
    let parts =
        Parts { guest, stops, console, ports: bell, signals, button, timeout, names, parent };
    events::run(parts, &config.ending).map_err(|error| host("event loop", &error))
}

/// The user's command line, and where the root file system is if it is a share, and the console if it is not the UART.
fn with_devices(config: &Config) -> String {
    let cmdline = match config.shares.iter().find(|share| share.is_root()) {
        Some(share) => {
            let mode = if share.is_read_only { "ro" } else { "rw" };
            cmdline::with_root(&config.cmdline, &["root=root", "rootfstype=virtiofs", mode])
        }
        None => config.cmdline.clone(),
    };
    match config.console {
        // The UART says what there is to say until the driver of the other is there, and if it never is.
        cli::Console::Virtio => cmdline::with_console(&cmdline, &["console=hvc0", "earlycon"]),
        cli::Console::Pl011 | cli::Console::None => cmdline,
    }
}

/// Makes the guest again, from the files as they are then.
fn prepare(assembly: Rc<Assembly>, names: Names) -> target::Prepare {
    Box::new(move || {
        let files = assembly.open_files().map_err(|outcome| outcome.to_string())?;
        let (assembly, names) = (assembly.clone(), names.clone());
        let make = move || {
            let vm = assembly.vm()?;
            let support = vm.debug_support()?;
            names.replace(kernel::names(&files));
            assembly.debugged(vm, support, files)
        };
        Ok(Box::new(move || make().map_err(|outcome: Outcome| outcome.to_string())))
    })
}

fn host(what: &str, error: &dyn std::fmt::Display) -> Outcome {
    Outcome::HostFailed(format!("{what}: {error}"))
}

impl From<Error> for Outcome {
    fn from(error: Error) -> Self {
        match error {
            // What the user asked for is more than this host has.
            Error::TooManyVcpus(..)
            | Error::NoFeature(_)
            | Error::MemoryBeyondIpa(..)
            | Error::MemoryBeyondHost(..)
            | Error::Memory(..) => Self::Unusable(error.to_string()),
            _ => Self::HostFailed(error.to_string()),
        }
    }
}

fn transport(address: &GdbAddress) -> Result<Transport, Outcome> {
    match address {
        GdbAddress::Tcp(host, port) => Listener::tcp(host, *port)
            .map(Transport::Listener)
            .map_err(|error| Outcome::Unusable(format!("--gdb {host}:{port}: {error}"))),
        GdbAddress::Unix(path) => Listener::unix(path)
            .map(Transport::Listener)
            .map_err(|error| Outcome::Unusable(format!("--gdb unix:{}: {error}", path.display()))),
        GdbAddress::Stdio => {
            Stdio::take().map(Transport::Stdio).map_err(|error| host("--gdb stdio", &error))
        }
    }
}

/// What to type into GDB.
fn greeting(config: &Config, server: &Server) -> String {
    let is_stdio = config.gdb == Some(GdbAddress::Stdio);
    let doing = match (config.gdb_nowait, is_stdio) {
        (false, _) => "guest waits at its first instruction",
        (true, true) => "guest runs",
        (true, false) => "listening",
    };
    match server.address() {
        Some(address) => format!("{doing}: target remote {address}"),
        None => format!("{doing}: its debugger is on standard input and output"),
    }
}
