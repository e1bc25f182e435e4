//! What the debugger is told of the kernel: its symbols, and where it will be.

use std::cell::LazyCell;
use std::rc::Rc;

use boot::elf::Vmlinux;
use boot::image::Kernel;

use super::files::{SymbolFile, chain};
use super::scout::Scout;
use crate::debug::kernel::{Lazy, Prediction, Program, Symbols};
use crate::message::say;

/// What is known of the kernel that is loaded so, and of its symbols. `is_fixed`: it stays where it was linked to.
pub fn program(scout: Scout, kind: Kernel, vmlinux: Option<SymbolFile>, is_fixed: bool) -> Program {
    let room = scout.placement.kernel;
    let image = match kind {
        Kernel::Image(_) => room.start()..room.end(),
        Kernel::Flat => 0..0,
    };
    let path = vmlinux.as_ref().map(|vmlinux| vmlinux.path.clone());
    let elf = vmlinux.filter(|vmlinux| vmlinux.is_kernels).map(|vmlinux| vmlinux.elf);
    let symbols: Rc<Lazy<Option<Symbols>>> =
        Rc::new(LazyCell::new(Box::new(move || symbols(&*elf?))));
    let prediction = if is_fixed {
        Prediction::Fixed
    } else {
        let symbols = symbols.clone();
        Prediction::Lazy(LazyCell::new(Box::new(move || predict(&scout, (**symbols)?))))
    };
    Program { vmlinux: path, image, symbols, prediction }
}

fn symbols(elf: &Vmlinux) -> Option<Symbols> {
    let found = elf.symbols(Symbols::NAMES).inspect_err(|error| {
        say(format_args!("the kernel's symbols: {}", chain(error)));
    });
    Some(Symbols::of(found.ok()?, elf.base()))
}

/// How far the kernel will move itself.
fn predict(scout: &Scout, symbols: Symbols) -> Option<u64> {
    let start_kernel = symbols.start_kernel?;
    let found = scout.find(start_kernel.checked_sub(symbols.text)?);
    let slide = found.map(|found| found.wrapping_sub(start_kernel)).inspect_err(|why| {
        say(format_args!("it is not known where the kernel will be before it is there: {why}"));
    });
    slide.ok()
}
