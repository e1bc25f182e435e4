//! What minivmm says itself, on standard error.

use std::fmt::Display;
use std::io::{self, Write};

/// Says one line. A reader that has gone is no reason to stop.
pub fn say(line: impl Display) {
    let _ = writeln!(io::stderr().lock(), "minivmm: {line}");
}
