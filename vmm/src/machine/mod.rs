//! The machine: files, KVM, devices and the debugger put together, and the event loop.

mod assembly;
mod console;
mod escape;
mod events;
mod files;
mod kernel;
mod loading;
mod network;
mod output;
mod port;
mod scout;
mod signals;
mod terminal;
mod transports;

use std::fs;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use boot::cmdline::command_line;
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use self::assembly::Assembly;
use self::console::{Console, Ends};
use self::events::Guest;
use self::files::{Files, chain};
use self::loading::Loading;
use self::port::Port;
use crate::cli::{Config, GdbAddress};
use crate::debug::server::Server;
use crate::debug::target;
use crate::debug::transport::{Listener, Stdio, Transport};
use crate::exit::Outcome;
use crate::kvm::control::Order;
use crate::kvm::error::Error;
use crate::message::say;

type Uart = Arc<Mutex<Port>>;

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
    // While there is but one thread.
    let transport = config.gdb.as_ref().map(transport).transpose()?;
    // Before any other is made: all of them inherit which signals are blocked.
    let signals = signals::Signals::block().map_err(|error| host("signals", &error))?;

    let ends =
        if config.gdb == Some(GdbAddress::Stdio) { Ends::Error } else { Ends::InputAndOutput };
    let console = Console::new(ends).map_err(|error| host("console", &error))?;
    let stops = EventFd::new(EFD_NONBLOCK).map_err(|error| host("eventfd", &error))?;
    let assembly = Assembly::new(config, cmdline.text, console.line(), Arc::new(stops));
    let vm = assembly.vm()?;
    let support = config.gdb.as_ref().map(|_| vm.debug_support()).transpose()?;
    if let Some(path) = &config.dump_dtb {
        fs::write(path, assembly.device_tree(&vm, &files)?).map_err(|error| {
            Outcome::Unusable(format!("--dump-dtb {}: {error}", path.display()))
        })?;
        return Ok(Outcome::PoweredOff);
    }
    if cmdline.appended_nokaslr && files.dtb.is_none() {
        say("added nokaslr to the kernel command line (say kaslr to keep it on)");
    }

    if config.gdb.is_some() && files.dtb.is_none() && assembly.may_relocate() {
        say(format_args!("KASLR is on: --kaslr-seed {:#x} repeats it", assembly.kaslr_seed()?));
    }

    let start_console =
        |console: Console| console.start(assembly.uart()).map_err(|error| host("console", &error));
    let stops = assembly.stops();
    let (guest, console) = match (transport, support) {
        (Some(transport), Some(support)) => {
            support.missing().for_each(|what| say(format_args!("gdb: {what}")));
            let machine = assembly.debugged(vm, support, files)?;
            let console = start_console(console)?;
            say(format_args!("gdb: {}", greeting(config)));
            let guest = target::Guest::new(machine, prepare(Rc::new(assembly)));
            let mut server = Server::new(transport, guest);
            if config.gdb_nowait {
                server.run_undebugged();
            }
            (Guest::Debugged(Box::new(server)), console)
        }
        _ => {
            let (control, rest) = assembly.undebugged(vm, files)?;
            let console = start_console(console)?;
            // First: without it the guest would find zeroes.
            let loading = rest.map(|rest| Loading::start(rest, stops.clone())).transpose();
            let loading = loading.map_err(|error| host("loader", &error))?;
            control.resume((0..control.len()).map(|_| Some(Order::Continue)));
            (Guest::Alone(control, loading), console)
        }
    };
    events::run(guest, stops, console, signals).map_err(|error| host("event loop", &error))
}

/// Makes the guest again, from the files as they are then.
fn prepare(assembly: Rc<Assembly>) -> target::Prepare {
    Box::new(move || {
        let files = assembly.open_files().map_err(|outcome| outcome.to_string())?;
        let assembly = assembly.clone();
        let make = move || {
            let vm = assembly.vm()?;
            let support = vm.debug_support()?;
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
            Error::TooManyVcpus(..) | Error::MemoryBeyondIpa(..) | Error::Memory(..) => {
                Self::Unusable(error.to_string())
            }
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
fn greeting(config: &Config) -> String {
    let doing = match (config.gdb_nowait, &config.gdb) {
        (false, _) => "guest waits at its first instruction",
        (true, Some(GdbAddress::Stdio)) => "guest runs",
        (true, _) => "listening",
    };
    match &config.gdb {
        Some(GdbAddress::Tcp(host, port)) if host == "127.0.0.1" => {
            format!("{doing}: target remote :{port}")
        }
        Some(GdbAddress::Tcp(host, port)) => format!("{doing}: target remote {host}:{port}"),
        Some(GdbAddress::Unix(path)) => format!("{doing}: target remote {}", path.display()),
        Some(GdbAddress::Stdio) => {
            format!("{doing}: its debugger is on standard input and output")
        }
        None => String::new(),
    }
}
