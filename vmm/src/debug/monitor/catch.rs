//! `catch`: stops at what is the guest's own business.

use gdbstub::TargetError;

use super::arguments;
use super::run::Call;
use crate::arch::classes;
use crate::debug::catches::Panic;

pub fn run(call: &mut Call<'_, '_>) -> Result<(), TargetError> {
    match call.words {
        [] => {
            list(call);
            return Ok(());
        }
        ["brk", rest @ ..] => brk(call, rest)?,
        ["panic", rest @ ..] => panic(call, rest)?,
        ["exception", rest @ ..] => exception(call, rest)?,
        [word, ..] => {
            return Err(arguments::unexpected("catch", word, "brk, panic, exception or nothing"));
        }
    }
    call.guest.engine.judge_again();
    Ok(())
}

fn list(call: &mut Call<'_, '_>) {
    let lines = call.guest.engine.points().catches.list();
    if lines.is_empty() {
        call.print("nothing is caught\n");
    }
    for line in lines {
        call.print(&format!("{line}\n"));
    }
}

fn brk(call: &mut Call<'_, '_>, words: &[&str]) -> Result<(), TargetError> {
    let immediate = |words: &[&str]| match words {
        [] => Ok(None),
        words => {
            let word = arguments::one("catch brk", words, "an immediate")?;
            let number = arguments::number("catch brk: immediate", word)?;
            let wrong = |_| arguments::unexpected("catch brk", word, "an immediate up to 0xffff");
            u16::try_from(number).map(Some).map_err(wrong)
        }
    };
    match words {
        ["on", rest @ ..] => {
            let immediate = immediate(rest)?;
            call.guest.engine.points().catches.catch_brk(immediate);
        }
        ["off", rest @ ..] => {
            let immediate = immediate(rest)?;
            if !call.guest.engine.points().catches.release_brk(immediate) {
                return Err(TargetError::Invalid(
                    "catch brk: all are caught; say catch brk off, then which are to be".to_owned(),
                ));
            }
        }
        words => return Err(switch("catch brk", words)),
    }
    Ok(())
}

fn panic(call: &mut Call<'_, '_>, words: &[&str]) -> Result<(), TargetError> {
    let panic = match words {
        ["off"] => Panic::Off,
        ["on"] => Panic::BySymbols,
        ["on", rest @ ..] => {
            let word = arguments::one("catch panic", rest, "an address")?;
            Panic::At(arguments::number("catch panic: address", word)?)
        }
        ["off", more, ..] => {
            return Err(arguments::unexpected("catch panic", more, "nothing behind off"));
        }
        words => return Err(switch("catch panic", words)),
    };
    if panic != Panic::Off {
        check_stepping(call, "catch panic")?;
    }
    if panic == Panic::BySymbols && call.guest.panic_address().is_none() {
        return Err(TargetError::Invalid(
            "catch panic: found no symbol of it, expected --vmlinux FILE, or its address behind on"
                .to_owned(),
        ));
    }
    call.guest.engine.points().catches.panic = panic;
    call.guest
        .place_catches()
        .inspect_err(|_| call.guest.engine.points().catches.panic = Panic::Off)
}

fn exception(call: &mut Call<'_, '_>, words: &[&str]) -> Result<(), TargetError> {
    let word = arguments::one("catch exception", words, "a class, its name, or off")?;
    if word == "off" {
        call.guest.engine.points().catches.release_classes();
        return call.guest.place_catches();
    }
    check_stepping(call, "catch exception")?;
    let class = if word.starts_with(|first: char| first.is_ascii_digit()) {
        let number = arguments::number("catch exception: class", word)?;
        u8::try_from(number).ok().filter(|class| *class < 64)
    } else {
        classes::by_name(word)
    };
    let Some(class) = class else {
        let names: Vec<_> = classes::names().collect();
        let expected = format!("off, a class below 0x40, or one of {}", names.join(" "));
        return Err(arguments::unexpected("catch exception", word, &expected));
    };
    call.guest.engine.points().catches.catch_class(class);
    call.guest.place_catches()?;
    if !call.guest.engine.points().has_vectors() {
        call.print(
            "VBAR_EL1 leads to no memory yet: it is looked at again when the guest is resumed\n",
        );
    }
    Ok(())
}

/// Where it cannot be stepped, nothing gets past a breakpoint of our own.
fn check_stepping(call: &Call<'_, '_>, command: &str) -> Result<(), TargetError> {
    if call.guest.engine.can_step() {
        return Ok(());
    }
    Err(TargetError::Invalid(format!("{command}: this host's KVM cannot single-step")))
}

fn switch(command: &str, words: &[&str]) -> TargetError {
    match words.first() {
        Some(word) => arguments::unexpected(command, word, "on or off"),
        None => arguments::missing(command, "on or off"),
    }
}
