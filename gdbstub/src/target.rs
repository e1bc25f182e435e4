//! What a debugged machine must offer: [`Target`], and the types that cross to it.
//!
//! A thread is a vCPU. All of them belong to one process, number 1.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;

use crate::aarch64::{Register, RegisterValue};
use crate::agent::Agent;
use crate::description::Description;

/// A thread id: the vCPU's index plus one, because the protocol keeps 0 for "any thread"
/// (RSP manual, Packets, "thread-id syntax").
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Tid(NonZeroU32);

impl Tid {
    /// The first vCPU's thread.
    pub const FIRST: Self = Self(NonZeroU32::MIN);

    /// The thread of the vCPU with this index. Indices past 2^32 - 2 saturate.
    pub fn from_index(index: usize) -> Self {
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        Self(NonZeroU32::MIN.saturating_add(index))
    }

    /// The thread with this number on the wire; `None` for 0.
    pub fn new(number: u32) -> Option<Self> {
        NonZeroU32::new(number).map(Self)
    }

    /// The number on the wire, from 1.
    pub fn number(self) -> u32 {
        self.0.get()
    }

    /// The vCPU's index, from 0.
    pub fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// What a stoppoint reacts to: the type of a `Z` packet (RSP manual, Packets, "Z0" to "Z4").
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// `Z0`: executing `addr`, by an instruction planted in memory.
    Software,
    /// `Z1`: executing `addr`, by a debug register.
    Hardware,
    /// `Z2`: writing any of the bytes.
    Write,
    /// `Z3`: reading any of the bytes.
    Read,
    /// `Z4`: reading or writing any of the bytes.
    Access,
}

/// A breakpoint or watchpoint at a virtual address. It is the same one when all fields are equal.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub struct Stoppoint {
    /// What it reacts to.
    pub kind: Kind,
    /// The virtual address of its first byte.
    pub addr: u64,
    /// The packet's `kind` field. Watchpoints: bytes watched. Breakpoints: bytes of the
    /// instruction, on AArch64 always 4 (RSP manual, Architecture-Specific Protocol Details).
    /// Not checked: any value a client sends arrives here.
    pub len: u64,
}

/// How a thread resumes (RSP manual, Packets, "vCont").
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum Action {
    /// Run until something stops it.
    Continue,
    /// Run one instruction.
    Step,
    /// Run one instruction, and more of them as long as PC is inside `start..end`. A breakpoint
    /// inside stops it, one at the PC it starts from aside.
    StepRange {
        /// First address inside.
        start: u64,
        /// First address behind. With `end` at or before `start` this is [`Self::Step`].
        end: u64,
    },
}

/// Why a request to a [`Target`] failed. The client gets it as an error reply and carries on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TargetError {
    /// The client's: nothing answers at this address.
    Unmapped {
        /// The first address that does not.
        addr: u64,
    },
    /// The client's: the target can never do this. To `Z` and `z` it is the empty reply, upon
    /// which a client stops using that type.
    Unsupported,
    /// Nobody's: the thread does not have this register now.
    Unavailable,
    /// The client's: every unit is in use; removing one makes room.
    NoRoom {
        /// The units in plural: "hardware breakpoints".
        what: &'static str,
        /// How many there are.
        have: usize,
    },
    /// The client's: a value the target cannot take. The text says what it takes instead.
    Invalid(String),
    /// The host's: the text says what failed.
    Host(String),
}

impl fmt::Display for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unmapped { addr } => write!(f, "no memory at {addr:#x}"),
            Self::Unsupported => f.write_str("not supported by this target"),
            Self::Unavailable => f.write_str("not available now"),
            Self::NoRoom { what, have } => write!(f, "all {have} {what} are in use"),
            Self::Invalid(text) => f.write_str(text),
            Self::Host(text) => write!(f, "the host failed: {text}"),
        }
    }
}

impl std::error::Error for TargetError {}

/// A range of virtual addresses that are alike.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct MemoryRegion {
    /// Its first address.
    pub first: u64,
    /// Its last address, not before the first.
    pub last: u64,
    /// What the kernel may do there; `None` where nothing is mapped.
    pub access: Option<Permissions>,
}

/// What addresses of memory mean.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Space {
    /// Virtual ones, as a thread sees them.
    Virtual(Tid),
    /// The guest's physical ones.
    Physical,
}

/// How many bits of a virtual address count, in either half of the address space.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct AddressBits {
    /// From 0 up.
    pub lower: u32,
    /// From 2^64 - 1 down.
    pub upper: u32,
}

/// Where a program is whose symbols say where it was linked to.
#[derive(Copy, Clone, PartialEq, Eq, Default, Debug)]
pub struct Relocation {
    /// The address of its first byte.
    pub text: Option<u64>,
    /// How far it is from the addresses it was linked to.
    pub slide: Option<u64>,
}

/// What may be done with memory.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Permissions {
    /// Loads.
    pub read: bool,
    /// Stores.
    pub write: bool,
    /// Instruction fetches.
    pub execute: bool,
}

/// A machine under debug.
///
/// A [`Session`](crate::Session) calls these only while the target is stopped, save for
/// [`interrupt`](Self::interrupt), [`kill`](Self::kill), [`restart`](Self::restart),
/// [`threads`](Self::threads) and those without `tid` that take `&self`. After
/// [`kill`](Self::kill), or once it has ended, only [`restart`](Self::restart) and the latter are
/// called. A `tid` it passes is always below [`threads`](Self::threads). None of these may block
/// on the client.
pub trait Target {
    /// The number of vCPUs, started or not. At least 1, and the same for the whole session.
    fn threads(&self) -> usize;

    /// A few words on the thread for `info threads`: "vCPU 0, halted". Stable while stopped.
    fn thread_label(&self, tid: Tid) -> String;

    /// Whether the thread cannot run until another one starts it.
    fn is_off(&self, tid: Tid) -> bool;

    /// Path of the program with its symbols, as the client would open it; `None` if not known.
    fn exec_file(&self) -> Option<&str>;

    /// Where the program is, as far as that is known. Called while the target is stopped.
    fn relocation(&mut self) -> Relocation;

    /// Bits of a virtual address that count, at the moment; those above tell kernel from user space,
    /// or hold tags and signatures.
    fn address_bits(&self) -> AddressBits;

    /// Whether a thread can be stepped, and with that get over a breakpoint nobody wants to hear of.
    fn can_step(&self) -> bool;

    /// How many watchpoints of up to 8 bytes there can be.
    fn watchpoints(&self) -> usize;

    /// The registers there are, the same for all threads and for the whole session.
    fn description(&self) -> Arc<Description>;

    /// Sets registers, each at most once, or none of them if one cannot have its value.
    fn write_registers(
        &mut self,
        tid: Tid,
        values: &[(Register, RegisterValue)],
    ) -> Result<(), TargetError>;

    /// Returns one register; `Unavailable` if this thread does not have it now. It is one of the
    /// description.
    fn read_register(&mut self, tid: Tid, reg: Register) -> Result<RegisterValue, TargetError>;

    /// Sets one register of the description. `value` fits its size. After an error it has the value
    /// that it had.
    fn write_register(
        &mut self,
        tid: Tid,
        reg: Register,
        value: RegisterValue,
    ) -> Result<(), TargetError>;

    /// Fills a prefix of `data` from address `addr`, planted breakpoints hidden.
    ///
    /// Returns the length of the prefix: `Ok(n)` with n < `data.len()` if the end of what is
    /// mapped was reached, and an error only if not one byte could be read. `data` is not empty
    /// and does not pass the end of the address space.
    fn read_memory(
        &mut self,
        space: Space,
        addr: u64,
        data: &mut [u8],
    ) -> Result<usize, TargetError>;

    /// Writes all of `data` at address `addr`, or nothing.
    ///
    /// Instructions written must be the ones that run next; a breakpoint planted in the range
    /// stays, over the new bytes. `data` is not empty and does not pass the end of the address
    /// space.
    fn write_memory(&mut self, space: Space, addr: u64, data: &[u8]) -> Result<(), TargetError>;

    /// What is around virtual address `addr` as the thread sees it: a region that holds it, of which
    /// all is alike. It may be smaller than it could.
    fn memory_region(&mut self, tid: Tid, addr: u64) -> Result<MemoryRegion, TargetError>;

    /// Sets a stoppoint for all threads, at an address as `tid` sees it. A breakpoint's hits are
    /// for `agent` to judge; a watchpoint's is empty.
    ///
    /// Returns `Ok` if it is set already, with `agent` instead of what it had: packets may be
    /// retransmitted, so "should be implemented in an idempotent way" (RSP manual, Packets, "Z").
    /// Returns `Unsupported` only if no stoppoint of this kind can be set, ever.
    fn insert(&mut self, tid: Tid, point: Stoppoint, agent: Agent) -> Result<(), TargetError>;

    /// Removes a stoppoint. Returns `Ok` if it is not there, for the same reason.
    fn remove(&mut self, tid: Tid, point: Stoppoint) -> Result<(), TargetError>;

    /// Resumes each thread named, at most once each and at least one, in ascending order; those
    /// not named stay parked.
    ///
    /// Returns at once: the stop is reported later by [`Session::stopped`](crate::Session::stopped),
    /// never from inside this call. Returns an error if nothing was resumed.
    fn resume(&mut self, actions: &[(Tid, Action)]) -> Result<(), TargetError>;

    /// Asks the running threads to stop, and returns at once. The stop is reported later, as
    /// `StopReason::Signal(SIGINT)` unless something else stopped them first. Called again before
    /// that, it changes nothing.
    fn interrupt(&mut self);

    /// Obeys a command of the machine's own, such as `help`, and hands its output to `print` piece
    /// by piece.
    fn monitor(
        &mut self,
        tid: Tid,
        command: &str,
        print: &mut dyn FnMut(&str),
    ) -> Result<(), TargetError>;

    /// Removes every stoppoint and lets the machine run on, undebugged.
    fn detach(&mut self);

    /// Ends the machine. It may be running.
    fn kill(&mut self);

    /// Puts the machine back to its first instruction, stopped and without stoppoints, whatever it
    /// does now. After an error it is as it was.
    fn restart(&mut self) -> Result<(), TargetError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thread_ids_are_indices_plus_one() {
        assert_eq!(Tid::from_index(0), Tid::FIRST);
        assert_eq!(Tid::from_index(3).number(), 4);
        assert_eq!(Tid::new(4).map(Tid::index), Some(3));
        assert_eq!(Tid::new(0), None);
        assert_eq!(Tid::from_index(usize::MAX).number(), u32::MAX);
    }

    #[test]
    fn errors_say_what_and_how_many() {
        let error = TargetError::NoRoom { what: "hardware breakpoints", have: 6 };

        assert_eq!(error.to_string(), "all 6 hardware breakpoints are in use");
        assert_eq!(TargetError::Unmapped { addr: 0xbad }.to_string(), "no memory at 0xbad");
    }
}
