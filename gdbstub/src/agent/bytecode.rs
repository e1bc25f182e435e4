//! Bytecode decoded (GDB manual, Bytecode Descriptions): what can be wrong with the bytes is
//! found here, once, and not at a hit.

use std::fmt;

use crate::agent::arithmetic::{Binary, Unary};
use crate::agent::printf::{BadFormat, Format};

/// Most bytes in an expression. GDB's take a few dozen; a `printf` brings its format along.
pub const MOST_BYTES: usize = 4096;

/// One instruction. In the manual's notation the top of the stack is on the right.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Op {
    /// `a b => a OP b`.
    Binary(Binary),
    /// `a => OP a`.
    Unary(Unary),
    /// `addr => a`: a number of this many bytes from memory.
    Ref(usize),
    /// `a =>`: jumps if a is not 0, to an index among the instructions.
    IfGoto(usize),
    /// Jumps, to an index among the instructions.
    Goto(usize),
    /// `=> n`.
    Const(u64),
    /// `=> a`: the register with the client's number.
    Reg(u16),
    /// A trace state variable, whatever is done with it.
    Variable(u16),
    /// `a ... b => a ... b a`: copies the entry with this many above it.
    Pick(u8),
    /// `a =>`.
    Pop,
    /// `a b => b a`.
    Swap,
    /// `a b c => c a b`.
    Rot,
    /// `addr size =>`: would record the bytes.
    Trace,
    /// `addr => addr`: likewise, the size being an operand.
    TraceQuick,
    /// `args... channel function =>`.
    Printf(Box<Format>),
    /// Ends the expression. Its value is the top of the stack.
    End,
}

/// The client's fault: bytes that are no expression. Displays as a line for a person.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum BadBytecode {
    /// There are none.
    Empty,
    /// There are too many.
    TooLong {
        /// How many.
        bytes: usize,
    },
    /// A breakpoint comes with too many expressions.
    TooMany {
        /// How many.
        count: usize,
        /// How many it may have.
        most: usize,
    },
    /// There is no such instruction.
    Unknown {
        /// Its first byte.
        opcode: u8,
        /// Where.
        at: usize,
    },
    /// The instruction is one for floating point, which the manual does not define.
    Float {
        /// Its first byte.
        opcode: u8,
        /// Where.
        at: usize,
    },
    /// The bytes end inside an instruction.
    Cut {
        /// Its first byte.
        opcode: u8,
        /// Where.
        at: usize,
    },
    /// A jump to where no instruction begins.
    Jump {
        /// The offset it jumps to.
        target: u16,
        /// Where.
        at: usize,
    },
    /// The last instruction is not one that nothing can follow.
    NoEnd,
    /// A `printf` that cannot be done.
    Format {
        /// What is wrong with it.
        bad: BadFormat,
        /// Where.
        at: usize,
    },
}

impl fmt::Display for BadBytecode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("no bytecode in the expression"),
            Self::TooLong { bytes } => {
                write!(f, "{bytes} bytes of bytecode, expected at most {MOST_BYTES}")
            }
            Self::TooMany { count, most } => {
                write!(f, "{count} conditions and commands, expected at most {most}")
            }
            Self::Unknown { opcode, at } => {
                write!(f, "unknown bytecode {opcode:#04x} at {at:#x}")
            }
            Self::Float { opcode, at } => {
                write!(f, "floating-point bytecode {opcode:#04x} at {at:#x}, expected integers")
            }
            Self::Cut { opcode, at } => {
                write!(f, "bytecode {opcode:#04x} at {at:#x} is cut off, expected its operands")
            }
            Self::Jump { target, at } => {
                write!(f, "jump at {at:#x} to {target:#x}, expected the start of an instruction")
            }
            Self::NoEnd => f.write_str("bytecode without an end (0x27) as its last instruction"),
            Self::Format { bad, at } => write!(f, "printf at {at:#x}: {bad}"),
        }
    }
}

impl std::error::Error for BadBytecode {}

/// The instructions in `code`: at least one, of which the last is `End` or `Goto`, and every jump
/// leads to one of them.
pub fn decode(code: &[u8]) -> Result<Vec<Op>, BadBytecode> {
    match code.len() {
        0 => return Err(BadBytecode::Empty),
        bytes if bytes > MOST_BYTES => return Err(BadBytecode::TooLong { bytes }),
        _ => {}
    }
    let mut ops = Vec::new();
    let mut offsets = Vec::new();
    let mut rest = code;
    while let Some((opcode, operands)) = rest.split_first() {
        let at = code.len() - rest.len();
        let mut operands = Operands { opcode: *opcode, at, rest: operands };
        ops.push(Op::decode(&mut operands)?);
        offsets.push(at);
        rest = operands.rest;
    }
    for (op, at) in ops.iter_mut().zip(&offsets) {
        if let Op::IfGoto(target) | Op::Goto(target) = op {
            *target = offsets
                .binary_search(target)
                .map_err(|_| BadBytecode::Jump { target: *target as u16, at: *at })?;
        }
    }
    match ops.last() {
        Some(Op::End | Op::Goto(_)) => Ok(ops),
        _ => Err(BadBytecode::NoEnd),
    }
}

impl Op {
    /// The next instruction. Its jumps still have offsets into the bytes.
    fn decode(operands: &mut Operands<'_>) -> Result<Self, BadBytecode> {
        let Operands { opcode, at, .. } = *operands;
        Ok(match opcode {
            0x01 | 0x1b..=0x1f => return Err(BadBytecode::Float { opcode, at }),
            0x02 => Self::Binary(Binary::Add),
            0x03 => Self::Binary(Binary::Sub),
            0x04 => Self::Binary(Binary::Mul),
            0x05 => Self::Binary(Binary::DivSigned),
            0x06 => Self::Binary(Binary::DivUnsigned),
            0x07 => Self::Binary(Binary::RemSigned),
            0x08 => Self::Binary(Binary::RemUnsigned),
            0x09 => Self::Binary(Binary::Lsh),
            0x0a => Self::Binary(Binary::RshSigned),
            0x0b => Self::Binary(Binary::RshUnsigned),
            // trace, tracenz.
            0x0c | 0x2f => Self::Trace,
            // trace_quick.
            0x0d => {
                operands.byte()?;
                Self::TraceQuick
            }
            0x0e => Self::Unary(Unary::LogNot),
            0x0f => Self::Binary(Binary::And),
            0x10 => Self::Binary(Binary::Or),
            0x11 => Self::Binary(Binary::Xor),
            0x12 => Self::Unary(Unary::BitNot),
            0x13 => Self::Binary(Binary::Equal),
            0x14 => Self::Binary(Binary::LessSigned),
            0x15 => Self::Binary(Binary::LessUnsigned),
            0x16 => Self::Unary(Unary::Ext(operands.byte()?)),
            0x17 => Self::Ref(1),
            0x18 => Self::Ref(2),
            0x19 => Self::Ref(4),
            0x1a => Self::Ref(8),
            0x20 => Self::IfGoto(operands.half()?.into()),
            0x21 => Self::Goto(operands.half()?.into()),
            0x22 => Self::Const(operands.byte()?.into()),
            0x23 => Self::Const(operands.half()?.into()),
            0x24 => Self::Const(u32::from_be_bytes(operands.take()?).into()),
            0x25 => Self::Const(u64::from_be_bytes(operands.take()?)),
            0x26 => Self::Reg(operands.half()?),
            0x27 => Self::End,
            // dup.
            0x28 => Self::Pick(0),
            0x29 => Self::Pop,
            0x2a => Self::Unary(Unary::ZeroExt(operands.byte()?)),
            0x2b => Self::Swap,
            // getv, setv, tracev.
            0x2c..=0x2e => Self::Variable(operands.half()?),
            // trace16.
            0x30 => {
                operands.half()?;
                Self::TraceQuick
            }
            0x32 => Self::Pick(operands.byte()?),
            0x33 => Self::Rot,
            0x34 => {
                let args = operands.byte()?;
                let len = operands.half()?;
                let format = Format::parse(operands.slice(len.into())?, args);
                Self::Printf(Box::new(format.map_err(|bad| BadBytecode::Format { bad, at })?))
            }
            _ => return Err(BadBytecode::Unknown { opcode, at }),
        })
    }
}

/// The bytes behind an opcode; numbers among them are big-endian whatever the target is.
struct Operands<'a> {
    opcode: u8,
    at: usize,
    rest: &'a [u8],
}

impl<'a> Operands<'a> {
    fn slice(&mut self, len: usize) -> Result<&'a [u8], BadBytecode> {
        let cut = BadBytecode::Cut { opcode: self.opcode, at: self.at };
        let (slice, rest) = self.rest.split_at_checked(len).ok_or(cut)?;
        self.rest = rest;
        Ok(slice)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], BadBytecode> {
        let cut = BadBytecode::Cut { opcode: self.opcode, at: self.at };
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(cut)?;
        self.rest = rest;
        Ok(*bytes)
    }

    fn byte(&mut self) -> Result<u8, BadBytecode> {
        self.take().map(u8::from_be_bytes)
    }

    fn half(&mut self) -> Result<u16, BadBytecode> {
        self.take().map(u16::from_be_bytes)
    }
}
