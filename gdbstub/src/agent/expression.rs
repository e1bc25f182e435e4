//! Expressions run: a stack machine with limits.

use std::fmt;

use crate::agent::bytecode::{self, BadBytecode, Op};
use crate::agent::{Machine, memory};

/// Most entries on the stack, as in gdbserver. GDB's expressions are as deep as their parentheses.
const MOST_ENTRIES: usize = 100;

/// Most instructions that the expressions of one hit take. GDB's only jump forward; loops come from
/// hostile clients.
pub const MOST_STEPS: usize = 10_000;

/// Most bytes a run prints. It bounds what a `printf` reads, too.
const MOST_OUTPUT: usize = 0x10000;

/// An agent expression, checked: it can fail but does no harm.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Expression(Vec<Op>);

/// Why an expression came to no end. Displays as a line for a person.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Nothing answers at this virtual address.
    NoMemory {
        /// The address that was to be read.
        addr: u64,
    },
    /// There is no such register, or it cannot be had.
    NoRegister {
        /// The client's number.
        number: u16,
    },
    /// There is no such trace state variable: there are none at all.
    NoVariable {
        /// The client's number.
        number: u16,
    },
    /// A division, or the remainder of one, by zero.
    DivisionByZero,
    /// An instruction wanted more from the stack than was on it.
    StackEmpty,
    /// An instruction pushed more onto the stack than it holds.
    StackFull,
    /// It was to be a condition and left nothing on the stack.
    NoValue,
    /// It took too many instructions.
    TooManySteps,
    /// It printed too much.
    TooMuchOutput,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoMemory { addr } => write!(f, "no memory at {addr:#x}"),
            Self::NoRegister { number } => write!(f, "no register {number:#x}"),
            Self::NoVariable { number } => {
                write!(f, "no trace state variable {number:#x}: there are none")
            }
            Self::DivisionByZero => f.write_str("division by zero"),
            Self::StackEmpty => f.write_str("nothing left on the stack, expected an operand"),
            Self::StackFull => write!(f, "more on the stack than its {MOST_ENTRIES} entries"),
            Self::NoValue => f.write_str("nothing left on the stack, expected a value"),
            Self::TooManySteps => write!(f, "not done after {MOST_STEPS} instructions"),
            Self::TooMuchOutput => write!(f, "more than {MOST_OUTPUT} bytes to print"),
        }
    }
}

impl std::error::Error for Fault {}

impl Expression {
    /// How many instructions it has.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has none, which `new` refuses.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Checks the bytecode.
    pub fn new(code: &[u8]) -> Result<Self, BadBytecode> {
        bytecode::decode(code).map(Self)
    }

    /// Runs it. Returns what is on top of the stack at the end; `None` if nothing is, as after a
    /// `printf`.
    pub fn run(&self, machine: &mut dyn Machine) -> Result<Option<u64>, Fault> {
        self.run_within(machine, &mut { MOST_STEPS })
    }

    /// The same in at most so many instructions, which are taken off `steps`.
    pub fn run_within(
        &self,
        machine: &mut dyn Machine,
        steps: &mut usize,
    ) -> Result<Option<u64>, Fault> {
        let mut stack = Stack::default();
        let mut room = MOST_OUTPUT;
        let mut next = 0;
        while let Some(left) = steps.checked_sub(1) {
            *steps = left;
            // `decode` has seen to it that there is a next one.
            let op = self.0.get(next).unwrap_or(&Op::End);
            next += 1;
            match op {
                Op::Binary(op) => {
                    let (a, b) = stack.pop_two()?;
                    stack.push(op.apply(a, b)?)?;
                }
                Op::Unary(op) => {
                    let a = stack.pop()?;
                    stack.push(op.apply(a))?;
                }
                Op::Ref(size) => {
                    let addr = stack.pop()?;
                    stack.push(memory::load(machine, addr, *size)?)?;
                }
                Op::IfGoto(target) => {
                    if stack.pop()? != 0 {
                        next = *target;
                    }
                }
                Op::Goto(target) => next = *target,
                Op::Const(value) => stack.push(*value)?,
                Op::Reg(number) => {
                    let value = machine.register(*number);
                    stack.push(value.ok_or(Fault::NoRegister { number: *number })?)?;
                }
                Op::Variable(number) => return Err(Fault::NoVariable { number: *number }),
                Op::Pick(above) => stack.push(stack.peek((*above).into())?)?,
                Op::Pop => stack.pop().map(|_| ())?,
                Op::Swap => {
                    let (a, b) = stack.pop_two()?;
                    stack.push(b)?;
                    stack.push(a)?;
                }
                Op::Rot => {
                    let (b, c) = stack.pop_two()?;
                    let a = stack.pop()?;
                    stack.push(c)?;
                    stack.push(a)?;
                    stack.push(b)?;
                }
                Op::Trace => stack.pop_two().map(|_| ())?,
                Op::TraceQuick => stack.peek(0).map(|_| ())?,
                Op::Printf(format) => {
                    // Where to print: a function of the program and its first argument. GDB sends
                    // 0 for both, and the output has but one place to go.
                    let (_channel, _function) = stack.pop_two()?;
                    let args: Result<Vec<_>, _> =
                        (0..format.arguments()).map(|_| stack.pop()).collect();
                    let text = format.print(&args?, machine, room)?;
                    room = room.saturating_sub(text.len());
                    machine.print(&String::from_utf8_lossy(&text));
                }
                Op::End => return Ok(stack.pop().ok()),
            }
        }
        Err(Fault::TooManySteps)
    }
}

/// At most [`MOST_ENTRIES`] entries.
#[derive(Default)]
struct Stack(Vec<u64>);

impl Stack {
    fn push(&mut self, value: u64) -> Result<(), Fault> {
        if self.0.len() >= MOST_ENTRIES {
            return Err(Fault::StackFull);
        }
        self.0.push(value);
        Ok(())
    }

    fn pop(&mut self) -> Result<u64, Fault> {
        self.0.pop().ok_or(Fault::StackEmpty)
    }

    /// The two on top, the topmost as the second.
    fn pop_two(&mut self) -> Result<(u64, u64), Fault> {
        let top = self.pop()?;
        Ok((self.pop()?, top))
    }

    /// The entry with this many above it.
    fn peek(&self, above: usize) -> Result<u64, Fault> {
        self.0.iter().rev().nth(above).copied().ok_or(Fault::StackEmpty)
    }
}
