//! What minivmm says itself, on standard error.

use std::fmt::Display;
use std::io::{self, Write};

/// Says one line, at once: with `--gdb stdio` the guest's console writes there too. A reader that has gone is no reason to stop.
pub fn say(line: impl Display) {
    let line = format!("minivmm: {line}\n");
    let _ = io::stderr().lock().write_all(line.as_bytes());
}
