//! What the debugger is told of the kernel: its symbols, and where it will be.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::mpsc;
use std::sync::{Arc, LazyLock};
use std::thread::Builder;

use boot::elf::Vmlinux;
use boot::image::Kernel;

use super::files::{Files, SymbolFile, chain};
use super::host;
use super::scout::Scout;
use crate::debug::kernel::{Awaited, LazySymbols, Prediction, Program, Symbols};
use crate::debug::scout::Report;
use crate::exit::Outcome;
use crate::message::say;

/// The file with the symbols of the kernel that runs now; another one may come when it is made anew.
pub type Names = Rc<RefCell<Option<Arc<Vmlinux>>>>;

/// What is known of the kernel that is loaded so, and of its symbols. `is_fixed`: it stays where it was linked to.
/// If it does not, and has symbols, a scout sets out to see where it will be.
pub fn program(
    scout: Scout,
    kind: Kernel,
    vmlinux: Option<SymbolFile>,
    is_fixed: bool,
) -> Result<Program, Outcome> {
    let room = scout.placement.kernel;
    let image = match kind {
        Kernel::Image(_) => room.start()..room.end(),
        Kernel::Flat => 0..0,
    };
    let path = vmlinux.as_ref().map(|vmlinux| vmlinux.path.clone());
    let elf = vmlinux.filter(|vmlinux| vmlinux.is_kernels).map(|vmlinux| vmlinux.elf);
    let has_symbols = elf.is_some();
    let symbols: Arc<LazySymbols> = Arc::new(LazyLock::new(Box::new(move || symbols(&*elf?))));
    let prediction = match (is_fixed, has_symbols) {
        (true, _) => Prediction::Fixed,
        (false, false) => Prediction::None,
        (false, true) => Prediction::Awaited(
            send(scout, symbols.clone()).map_err(|error| host("scout", &error))?,
        ),
    };
    Ok(Program { vmlinux: path, image, symbols, prediction })
}

/// What is known of the kernel without a scout, which is enough once it runs.
pub fn known(files: &Files, is_fixed: bool) -> Program {
    let elf = names(files);
    let room = files.placement.kernel;
    let image = match files.kind {
        Kernel::Image(_) => room.start()..room.end(),
        Kernel::Flat => 0..0,
    };
    let symbols: Arc<LazySymbols> = Arc::new(LazyLock::new(Box::new(move || symbols(&*elf?))));
    let prediction = if is_fixed { Prediction::Fixed } else { Prediction::None };
    Program { vmlinux: None, image, symbols, prediction }
}

/// The file with the symbols of the kernel that is started, if there is one.
pub fn names(files: &Files) -> Option<Arc<Vmlinux>> {
    let vmlinux = files.vmlinux.as_ref().filter(|vmlinux| vmlinux.is_kernels);
    vmlinux.map(|vmlinux| vmlinux.elf.clone())
}

/// Has a thread find out how far the kernel will move itself.
fn send(scout: Scout, symbols: Arc<LazySymbols>) -> std::io::Result<Awaited> {
    let reports = mpsc::channel();
    let recall = reports.0.clone();
    let (sender, answer) = mpsc::sync_channel(1);
    let thread = Builder::new().name("scout".to_owned()).spawn(move || {
        // Nobody waits any longer: nothing is lost.
        let _ = sender.send(predict(&scout, **symbols, &reports));
    })?;
    Ok(Awaited::new(answer, recall, thread))
}

fn symbols(elf: &Vmlinux) -> Option<Symbols> {
    let found = elf.symbols(Symbols::NAMES).inspect_err(|error| {
        say(format_args!("the kernel's symbols: {}", chain(error)));
    });
    Some(Symbols::of(found.ok()?, elf.base()))
}

/// How far the kernel will move itself.
fn predict(
    scout: &Scout,
    symbols: Option<Symbols>,
    reports: &(mpsc::Sender<Report>, mpsc::Receiver<Report>),
) -> Report {
    let linked = symbols.and_then(|symbols| {
        let start_kernel = symbols.start_kernel?;
        Some((start_kernel, start_kernel.checked_sub(symbols.text)?))
    });
    let (start_kernel, offset) = linked.ok_or("its symbols have no start_kernel")?;
    Ok(scout.find(offset, reports)?.wrapping_sub(start_kernel))
}
