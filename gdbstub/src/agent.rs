//! What a stub does at a breakpoint without asking the client: conditions and commands in the
//! bytecode of GDB's agent expressions (GDB manual, appendix F, "The GDB Agent Expression
//! Mechanism"), so that a hit nobody wants to see costs no round trip.
//!
//! ```text
//! ;X len,expr;cmds:persist,X len,expr -> Agent::parse -> Agent::on_hit -> Verdict
//!                                                           |
//!                                                        Machine
//! ```
//!
//! An expression is checked when it comes and may still fail when it runs; either way nothing it
//! holds panics, and it ends after a bounded time. It reads registers and memory and prints,
//! nothing else: the bytecode has no way to write or to call.
//!
//! Not here: floating point, which GDB does not compile into bytecode either, trace state
//! variables, and the collecting of data, so that `trace` and its kin do nothing.

mod arithmetic;
mod bytecode;
mod expression;
mod memory;
mod printf;
#[cfg(test)]
mod tests;

use std::fmt;

pub use bytecode::BadBytecode;
pub use expression::{Expression, Fault};
pub use printf::BadFormat;

use crate::hex::{self, HexBytes};

/// Most conditions and commands one breakpoint has, together.
const MOST_EXPRESSIONS: usize = 64;

/// What a client wants done at a breakpoint: the rest of its `Z0` or `Z1` packet (RSP manual,
/// Packets, "Z0").
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Agent {
    /// The hit counts if there are none or any of them is not 0.
    pub conditions: Vec<Expression>,
    /// Run at a hit that counts, in order, instead of a report of it.
    pub commands: Vec<Expression>,
}

/// What expressions look at: the vCPU that hit the breakpoint.
pub trait Machine {
    /// The register with the client's number (`target.xml`), the low 64 bits, zero-extended.
    /// `None` if there is no such register or it cannot be had.
    fn register(&mut self, number: u16) -> Option<u64>;

    /// Fills all of `data` from virtual address `addr` as the vCPU sees it, planted breakpoints
    /// hidden, or returns false. `data` is not empty and does not pass the end of the address
    /// space.
    fn read(&mut self, addr: u64, data: &mut [u8]) -> bool;

    /// Takes what a command prints.
    fn print(&mut self, text: &str);
}

/// What becomes of a hit.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Report it.
    Stop,
    /// Report it and say this: whether it was wanted is not known, or not all was done that was.
    Failed(Failure),
    /// Go on; nobody needs to know.
    Pass,
}

/// An expression that came to no end, and what it was for. Displays as a line for a person.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Failure {
    /// A condition.
    Condition(Fault),
    /// A command.
    Command(Fault),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Condition(fault) => write!(f, "condition failed: {fault}"),
            Self::Command(fault) => write!(f, "command failed: {fault}"),
        }
    }
}

impl std::error::Error for Failure {}

impl Agent {
    /// Understands what stands behind `Z0,addr,kind`: nothing, or
    /// `;X len,expr...;cmds:persist,X len,expr...`, either half of which may be missing.
    ///
    /// `None` if that is not the syntax, an error if it is but an expression is no good.
    pub fn parse(text: &[u8]) -> Option<Result<Self, BadBytecode>> {
        const COMMANDS: &[u8] = b";cmds:";
        let at = text.windows(COMMANDS.len()).position(|part| part == COMMANDS);
        let (conditions, commands) = text.split_at_checked(at.unwrap_or(text.len()))?;

        let conditions = match conditions {
            b"" | [b';', ..] => expressions(conditions)?,
            _ => return None,
        };
        // `persist`, whether they run with no client connected, makes no difference here: they do.
        let commands = match commands.strip_prefix(COMMANDS) {
            None => Vec::new(),
            Some([b'0' | b'1', b',', list @ ..]) if !list.is_empty() => expressions(list)?,
            Some(_) => return None,
        };
        Some(Self::decode(&conditions, &commands))
    }

    fn decode(conditions: &[HexBytes<'_>], commands: &[HexBytes<'_>]) -> Result<Self, BadBytecode> {
        let count = conditions.len() + commands.len();
        if count > MOST_EXPRESSIONS {
            return Err(BadBytecode::TooMany { count, most: MOST_EXPRESSIONS });
        }
        let decode = |list: &[HexBytes<'_>]| -> Result<Vec<_>, _> {
            list.iter().map(|code| Expression::new(&code.decode())).collect()
        };
        Ok(Self { conditions: decode(conditions)?, commands: decode(commands)? })
    }

    /// Judges a hit and runs the commands if it counts. An expression that fails makes it a stop,
    /// whatever was still to run: a hit is never lost.
    pub fn on_hit(&self, machine: &mut dyn Machine) -> Verdict {
        let mut steps = expression::MOST_STEPS;
        match self.counts(machine, &mut steps) {
            Err(fault) => Verdict::Failed(Failure::Condition(fault)),
            Ok(false) => Verdict::Pass,
            Ok(true) if self.commands.is_empty() => Verdict::Stop,
            Ok(true) => match self.run_commands(machine, &mut steps) {
                Err(fault) => Verdict::Failed(Failure::Command(fault)),
                Ok(()) => Verdict::Pass,
            },
        }
    }

    /// How many instructions it has.
    pub fn len(&self) -> usize {
        self.conditions.iter().chain(&self.commands).map(Expression::len).sum()
    }

    /// Whether there is nothing to do but to report the hit.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn counts(&self, machine: &mut dyn Machine, steps: &mut usize) -> Result<bool, Fault> {
        for condition in &self.conditions {
            if condition.run_within(machine, steps)?.ok_or(Fault::NoValue)? != 0 {
                return Ok(true);
            }
        }
        Ok(self.conditions.is_empty())
    }

    fn run_commands(&self, machine: &mut dyn Machine, steps: &mut usize) -> Result<(), Fault> {
        self.commands.iter().try_for_each(|command| command.run_within(machine, steps).map(|_| ()))
    }
}

/// A list of `X len,expr`. GDB puts nothing between them, the manual's other lists have `;`.
fn expressions(mut text: &[u8]) -> Option<Vec<HexBytes<'_>>> {
    let mut list = Vec::new();
    while !text.is_empty() {
        let entry = text.strip_prefix(b";").unwrap_or(text).strip_prefix(b"X")?;
        let comma = entry.iter().position(|byte| *byte == b',')?;
        let (len, code) = entry.split_at_checked(comma)?;
        let digits = usize::try_from(hex::number(len)?).ok()?.checked_mul(2)?;
        let (code, rest) = code.get(1..)?.split_at_checked(digits)?;
        list.push(HexBytes::parse(code)?);
        text = rest;
    }
    Some(list)
}
