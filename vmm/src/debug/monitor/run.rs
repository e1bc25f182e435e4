//! From a command to the code that obeys it.

use gdbstub::{TargetError, Tid};

use super::output::Output;
use super::table::Name;
use super::{
    Print, arguments, catch, dts, exits, gic, help, kernel, life, pagetable, parse, registers,
    timers, translate, vcpus, version, xp,
};
use crate::debug::target::Guest;

/// What a command works with.
pub struct Call<'a, 'p> {
    /// All vCPUs are parked.
    pub guest: &'a mut Guest,
    /// The vCPU that the debugger has selected.
    pub tid: Tid,
    /// The words behind the command's name.
    pub words: &'a [&'a str],
    /// Where it prints.
    out: Output<'a, 'p>,
}

impl Call<'_, '_> {
    /// Prints a piece of the output.
    pub fn print(&mut self, text: &str) {
        self.out.print(text);
    }

    /// Whether nothing more can be printed: it need not be found out.
    pub fn is_full(&self) -> bool {
        self.out.is_full()
    }
}

/// Runs a command and hands its output to `print`.
pub fn run(
    guest: &mut Guest,
    tid: Tid,
    text: &str,
    print: &mut Print<'_>,
) -> Result<(), TargetError> {
    let (name, words) = parse(text)?;
    let call = &mut Call { guest, tid, words: &words, out: Output::new(print) };
    match name {
        Name::Help => help(call.words, &mut |text| call.out.print(text)),
        Name::Version => {
            arguments::none("info version", call.words)?;
            version(&mut |text| call.print(text));
            Ok(())
        }
        Name::Translate => translate::run(call),
        Name::PageTable => pagetable::run(call),
        Name::Xp => xp::run(call),
        Name::Vcpus => vcpus::run(call),
        Name::Kernel => kernel::run(call),
        Name::Timers => timers::run(call),
        Name::Gic => gic::run(call),
        Name::Exits => exits::run(call),
        Name::DeviceTree => device_tree(call),
        Name::Catch => catch::run(call),
        Name::Reset => life::reset(call),
        Name::Quit => life::quit(call),
        Name::Registers => registers::run(call),
    }
}

/// `dtb`.
fn device_tree(call: &mut Call<'_, '_>) -> Result<(), TargetError> {
    arguments::none("dtb", call.words)?;
    let blob = std::mem::take(&mut call.guest.handover.dtb);
    dts::write(&blob, |line| {
        call.print(line);
        !call.is_full()
    });
    call.guest.handover.dtb = blob;
    Ok(())
}
