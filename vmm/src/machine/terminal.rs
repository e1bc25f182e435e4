//! The user's terminal: raw while the guest runs, and back as it was on every way out.

use std::io::{self, IsTerminal};
use std::panic;
use std::process;
use std::sync::{Mutex, PoisonError};

use nix::sys::termios::{self, OutputFlags, SetArg, Termios};
use nix::unistd::{getpgrp, tcgetpgrp};

/// The settings to go back to, while the terminal is raw.
static SAVED: Mutex<Option<Termios>> = Mutex::new(None);

/// What standard input is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Terminal {
    /// Not a terminal.
    None,
    /// A terminal that is not ours to read or to change: we run in the background.
    OfAnotherJob,
    /// A terminal, raw by now.
    Raw,
}

/// Makes the terminal on standard input raw until [`restore`], if there is one and it is ours.
pub fn make_raw() -> io::Result<Terminal> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return Ok(Terminal::None);
    }
    if tcgetpgrp(&stdin).is_ok_and(|foreground| foreground != getpgrp()) {
        return Ok(Terminal::OfAnotherJob);
    }
    let saved = termios::tcgetattr(&stdin)?;
    let mut raw = saved.clone();
    termios::cfmakeraw(&mut raw);
    // Our own messages end lines with a bare newline.
    raw.output_flags.insert(OutputFlags::OPOST);
    *SAVED.lock().unwrap_or_else(PoisonError::into_inner) = Some(saved);
    termios::tcsetattr(&stdin, SetArg::TCSADRAIN, &raw)?;
    Ok(Terminal::Raw)
}

/// Undoes [`make_raw`]. Does nothing if the terminal is not raw.
pub fn restore() {
    if let Some(saved) = SAVED.lock().unwrap_or_else(PoisonError::into_inner).take() {
        // A terminal that is gone needs no restoring.
        let _ = termios::tcsetattr(io::stdin(), SetArg::TCSADRAIN, &saved);
    }
}

/// A panic on any thread is a defect of ours: no guest may go on with half its machine gone.
pub fn end_on_panic() {
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        restore();
        report(info);
        process::exit(1);
    }));
}
