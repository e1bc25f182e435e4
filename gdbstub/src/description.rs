//! Which registers a target has, under which numbers: what target.xml and `qRegisterInfo` tell
//! clients, and what `g`, `p` and the bytecode of conditions go by.

use crate::aarch64::{PacMask, Register};
use crate::register_info::RegisterInfo;
use crate::target_xml;

/// What a target's vCPUs have besides the core registers and the thread pointer.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Contents {
    /// Bytes of an SVE vector, a multiple of 16 up to 256; `None` without SVE.
    pub vector_length: Option<usize>,
    /// Pointer authentication.
    pub has_pauth: bool,
    /// The second thread pointer.
    pub has_tpidr2: bool,
    /// System registers: the nth is [`Register::System(n)`](Register::System). At most
    /// [`MOST_SYSTEM_REGISTERS`].
    pub system: Vec<SystemRegister>,
}

/// Registers beyond these have no number.
pub const MOST_SYSTEM_REGISTERS: usize = 0x1000;

/// A system register as clients see it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SystemRegister {
    /// Its name in the architecture; nothing that XML has a meaning for.
    pub name: String,
    /// What is in its 64 bits.
    pub kind: SystemKind,
}

/// What is in a system register.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SystemKind {
    /// A number.
    Number,
    /// Address of an instruction.
    Code,
    /// Address of something else.
    Data,
    /// Fields.
    Flags {
        /// Name of the type.
        id: &'static str,
        /// From the lowest bit up.
        fields: Vec<Field>,
    },
}

/// A field of a register.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Field {
    /// Its name in the architecture.
    pub name: &'static str,
    /// Its lowest bit.
    pub first: u8,
    /// Its highest bit.
    pub last: u8,
    /// What its values mean; empty for a number.
    pub values: &'static [(u64, &'static str)],
}

/// A register with a number, which is its place among them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Entry {
    pub reg: Register,
    /// Its bytes on the wire, before hex.
    pub size: usize,
    /// Where they would be in a `g` packet of all registers.
    pub offset: usize,
}

/// The registers of a target.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Description {
    contents: Contents,
    entries: Vec<Entry>,
    /// How many of them all clients are told of. Those behind are for LLDB alone.
    told: usize,
    /// How many of them are in a `g` packet.
    in_g: usize,
    /// What rides along in a stop reply to GDB and to LLDB, by number: the core, and what the client would ask for at
    /// each stop. That is the masks, as soon as GDB looks at a pointer, and the length of vectors for LLDB.
    expedited: [Vec<(u16, Entry)>; 2],
    /// target.xml for GDB and for LLDB.
    xml: [String; 2],
}

impl Description {
    /// The description of what there is.
    pub fn new(contents: Contents) -> Self {
        let core = Register::core();
        let fp_state = [Register::Fpsr, Register::Fpcr];
        let vectors = || (0..32).map(Register::V);
        let floating: Vec<Register> = match contents.vector_length {
            None => vectors().chain(fp_state).collect(),
            Some(_) => (0..32)
                .map(Register::Z)
                .chain((0..16).map(Register::P))
                .chain([Register::Ffr])
                .chain(fp_state)
                .chain([Register::Vg])
                .collect(),
        };
        let masks = PacMask::ALL.into_iter().map(Register::PacMask);
        let tpidr2 = contents.has_tpidr2.then_some(Register::Tpidr2);
        let system = (0..).take(contents.system.len().min(MOST_SYSTEM_REGISTERS));
        let registers = core
            .chain(floating)
            .chain(masks.filter(|_| contents.has_pauth))
            .chain([Register::Tpidr])
            .chain(tpidr2)
            .chain(system.map(Register::System));

        let mut entries = Vec::new();
        let mut end = 0;
        let mut append = |reg: Register| {
            let size = reg.size(contents.vector_length.unwrap_or_default());
            let offset = end;
            end += size;
            entries.push(Entry { reg, size, offset });
        };
        registers.for_each(&mut append);
        // A `g` packet of all vectors of SVE would be 16 KiB, and KVM is asked for each of them.
        let is_in_g = |entry: &&Entry| match contents.vector_length {
            None => !matches!(entry.reg, Register::PacMask(_) | Register::Tpidr),
            Some(_) => !matches!(entry.reg, Register::Z(_)),
        };
        let (told, in_g) = (entries.len(), entries.iter().take_while(is_in_g).count());
        // GDB makes up v0 to v31 by itself, LLDB has to be told what they are part of.
        if contents.vector_length.is_some() {
            for (reg, z) in vectors().zip((0..32).map(Register::Z)) {
                let offset = entries.iter().find(|entry| entry.reg == z).map(|entry| entry.offset);
                entries.push(Entry { reg, size: 16, offset: offset.unwrap_or_default() });
            }
        }
        let numbered = || (0..).zip(entries.iter().copied());
        let core = Register::core().count();
        let expedited = |is_asked_for: fn(Register) -> bool| {
            numbered()
                .filter(|(number, entry)| usize::from(*number) < core || is_asked_for(entry.reg))
                .collect()
        };
        let expedited = [
            expedited(|reg| matches!(reg, Register::PacMask(_))),
            expedited(|reg| reg == Register::Vg),
        ];
        let xml = [const { String::new() }; 2];
        let mut description = Self { contents, entries, told, in_g, expedited, xml };
        description.xml = [false, true].map(|is_lldb| target_xml::document(&description, is_lldb));
        description
    }

    /// The register with this number.
    pub fn register(&self, number: u64) -> Option<Register> {
        self.entry(number).map(|entry| entry.reg)
    }

    /// What system register it is.
    pub fn system(&self, index: u16) -> Option<&SystemRegister> {
        self.contents.system.get(usize::from(index))
    }

    pub(crate) fn entry(&self, number: u64) -> Option<Entry> {
        self.entries.get(usize::try_from(number).ok()?).copied()
    }

    /// The register's number.
    pub(crate) fn number(&self, reg: Register) -> Option<u16> {
        let at = self.entries.iter().position(|entry| entry.reg == reg)?;
        u16::try_from(at).ok()
    }

    /// Bytes of an SVE vector.
    pub(crate) fn vector_length(&self) -> Option<usize> {
        self.contents.vector_length
    }

    pub(crate) fn system_registers(&self) -> &[SystemRegister] {
        &self.contents.system
    }

    /// What is in a `g` packet, in its order.
    pub(crate) fn in_g(&self) -> &[Entry] {
        self.entries.get(..self.in_g).unwrap_or_default()
    }

    /// Bytes of a `g` packet, before hex.
    pub(crate) fn g_size(&self) -> usize {
        self.in_g().iter().map(|entry| entry.size).sum()
    }

    /// What rides along in a stop reply.
    pub(crate) fn expedited(&self, is_lldb: bool) -> &[(u16, Entry)] {
        let [gdb, lldb] = &self.expedited;
        if is_lldb { lldb } else { gdb }
    }

    /// All that a client is told of, by number.
    pub(crate) fn infos(&self, is_lldb: bool) -> impl Iterator<Item = RegisterInfo> {
        let count = if is_lldb { self.entries.len() } else { self.told };
        (0..).map_while(|number| self.info(number)).take(count)
    }

    /// One register described.
    pub(crate) fn info(&self, number: u64) -> Option<RegisterInfo> {
        let entry = self.entry(number)?;
        Some(RegisterInfo::of(self, u16::try_from(number).ok()?, entry))
    }

    /// `target.xml`.
    pub(crate) fn xml(&self, is_lldb: bool) -> &str {
        let [gdb, lldb] = &self.xml;
        if is_lldb { lldb } else { gdb }
    }
}

#[cfg(test)]
mod tests;
