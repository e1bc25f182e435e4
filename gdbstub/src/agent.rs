//! Conditions and commands of breakpoints.

use std::fmt;

/// What a client wants done at a breakpoint.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Agent;

/// An expression that cannot be evaluated.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BadBytecode;

impl fmt::Display for BadBytecode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytecode")
    }
}

impl Agent {
    /// Parses what follows `addr,kind`.
    pub fn parse(text: &[u8]) -> Option<Result<Self, BadBytecode>> {
        text.is_empty().then_some(Ok(Self))
    }
}
