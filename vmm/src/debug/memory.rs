//! Guest memory by virtual address, with the planted breakpoints out of sight.

use std::ops::Range;

use super::breakpoints::{AddressSpace, Breakpoints, Resolution, Text};
use super::link::LinkMap;
use crate::arch::insn::Word;
use crate::arch::kernel_tables::{BADDR, KernelTables};
use crate::arch::pstate::Level;
use crate::arch::region::{self, Region};
use crate::arch::stage1::{self, Mapping, Regime, Unmapped};
use crate::kvm::error::Error;
use crate::kvm::memory::Memory;
use crate::kvm::vcpu::Vcpu;

impl Text for Memory {
    fn read(&self, ipa: u64, data: &mut [u8]) -> bool {
        Memory::read(self, ipa, data)
    }
    fn write(&self, ipa: u64, data: &[u8]) -> bool {
        Memory::write(self, ipa, data)
    }
}

/// Virtual memory as one vCPU sees it while it stands still.
pub struct View<'a> {
    memory: &'a Memory,
    regime: Regime,
    /// By what upper-half addresses are translated that the regime itself does not map. Where the
    /// kernel is unmapped at EL0 (KPTI), tables of EL1.
    kernel: Vec<Regime>,
    /// Where the kernel's own addresses lead as long as no tables translate them.
    link: LinkMap,
}

impl<'a> View<'a> {
    /// What this vCPU sees.
    pub fn of(vcpu: &Vcpu, memory: &'a Memory, link: LinkMap) -> Result<Self, Error> {
        let is_el0 = vcpu.pstate()?.level() == Level::El0;
        let mut view = Self { memory, regime: vcpu.regime()?, kernel: Vec::new(), link };
        if is_el0 {
            view.add_kernel_tables(vcpu.kernel_tables());
        }
        Ok(view)
    }

    /// Whether the vCPU has its MMU on.
    pub fn is_translated(&self) -> bool {
        self.regime.sctlr & stage1::SCTLR_M != 0
    }

    /// Falls back to another vCPU's tables as well: kernels share them among vCPUs.
    pub fn add_kernel_tables(&mut self, tables: KernelTables) {
        self.kernel.extend(tables.iter().map(|ttbr1| Regime { ttbr1, ..self.regime }));
    }

    /// Falls back to how another vCPU translates, where this one does not yet.
    pub fn add_kernel_regimes(&mut self, regime: Regime, tables: KernelTables) {
        if regime.sctlr & stage1::SCTLR_M != 0 {
            self.kernel.push(regime);
            self.kernel.extend(tables.iter().map(|ttbr1| Regime { ttbr1, ..regime }));
        }
    }

    /// What `va` is looked up by, first its own tables.
    pub fn regimes(&self, va: u64) -> impl Iterator<Item = Regime> {
        let kernel = self.kernel.iter().filter(move |_| is_upper(va));
        std::iter::once(self.regime).chain(kernel.copied())
    }

    /// What addresses in the half of `va` depend on.
    pub fn space(&self, va: u64) -> AddressSpace {
        let table = if is_upper(va) { self.regime.ttbr1 } else { self.regime.ttbr0 };
        AddressSpace(self.is_translated().then_some(table & BADDR))
    }

    /// Whether addresses in the half of `va` can be looked up in this space.
    pub fn has_space(&self, va: u64, space: AddressSpace) -> bool {
        let is_kernels = |regime: &Regime| Some(regime.ttbr1 & BADDR) == space.0;
        self.space(va) == space || is_upper(va) && self.kernel.iter().any(is_kernels)
    }

    /// Where `va` leads.
    pub fn translate(&self, va: u64) -> Result<Mapping, Unmapped> {
        self.locate(va).map(|(mapping, _)| mapping)
    }

    /// Where `va` leads, and by which space.
    pub fn locate(&self, va: u64) -> Result<(Mapping, AddressSpace), Unmapped> {
        self.walk(va).or_else(|unmapped| {
            let mapping = self.lead(va).ok_or(unmapped)?;
            Ok((mapping, self.space(va)))
        })
    }

    /// The same, by tables alone.
    fn walk(&self, va: u64) -> Result<(Mapping, AddressSpace), Unmapped> {
        let read = |ipa| self.memory.read_u64(ipa);
        let unmapped = match stage1::translate(va, &self.regime, read) {
            Ok(mapping) => return Ok((mapping, self.space(va))),
            Err(unmapped) => unmapped,
        };
        for regime in self.kernel.iter().filter(|_| is_upper(va)) {
            if let Ok(mapping) = stage1::translate(va, regime, read) {
                return Ok((mapping, AddressSpace(Some(regime.ttbr1 & BADDR))));
            }
        }
        Err(unmapped)
    }

    /// Where an address of the kernel leads that tables do not translate.
    fn lead(&self, va: u64) -> Option<Mapping> {
        let linked = || self.link.lead(self.link.linked(), va);
        self.link.lead(self.runtime(), va).or_else(linked)
    }

    /// The kernel's addresses, unless its own tables are known: what they leave out is a hole.
    fn runtime(&self) -> Option<Range<u64>> {
        let is_up = || self.link.code_address().is_some_and(|code| self.walk(code).is_ok());
        self.link.runtime().filter(|_| !is_up())
    }

    /// What is around `va`, put together from neighbours that are alike, up to a bound.
    pub fn region(&self, va: u64) -> Region {
        /// Walks for one answer.
        const MOST: usize = 1024;
        let mut region = self.region_of_one_walk(va);
        for _ in 1..MOST {
            let Some(next) = region.last.checked_add(1) else { break };
            let neighbour = self.region_of_one_walk(next);
            if neighbour.access != region.access {
                break;
            }
            region.last = neighbour.last;
        }
        region
    }

    fn region_of_one_walk(&self, va: u64) -> Region {
        let read = |ipa| self.memory.read_u64(ipa);
        let mut found = region::around(va, &self.regime, read);
        for regime in self.kernel.iter().filter(|_| is_upper(va)) {
            if found.access.is_some() {
                break;
            }
            let other = region::around(va, regime, read);
            // Of two holes, what is in neither.
            found.first = found.first.max(other.first);
            found.last = found.last.min(other.last);
            found.access = other.access;
        }
        if found.access.is_none() {
            for range in [self.runtime(), self.link.linked()].into_iter().flatten() {
                found = found.filled(va, &range);
            }
        }
        found
    }

    /// Reads the instruction at `pc` as the guest knows it, and says where it is; `None` where there
    /// is none. One of two bytes at the end of what is mapped has zeroes behind it.
    pub fn instruction(&self, breakpoints: &Breakpoints, pc: u64) -> Option<(u64, Word)> {
        let ipa = self.translate(pc).ok()?.ipa;
        let mut bytes = [0; 4];
        let read = self.read(breakpoints, pc, &mut bytes);
        (read >= 2).then_some((ipa, Word(u32::from_le_bytes(bytes))))
    }

    /// Fills a prefix of `data` from `va` and returns its length: up to the first byte that is not
    /// mapped, or not to RAM. A device is never read, since reading changes it.
    pub fn read(&self, breakpoints: &Breakpoints, va: u64, data: &mut [u8]) -> usize {
        let mut done = 0;
        while let Some(rest) = data.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let Ok(mapping) = self.translate(va.wrapping_add(done as u64)) else { break };
            let len = rest.len().min(usize::try_from(mapping.rest).unwrap_or(usize::MAX));
            let Some(chunk) = rest.get_mut(..len) else { break };
            if !breakpoints.read(mapping.ipa, chunk, self.memory) {
                break;
            }
            done += len;
        }
        done
    }

    /// Writes all of `data` at `va`. The error, with nothing written, is the first address that is
    /// not mapped, or not to RAM.
    pub fn write(&self, breakpoints: &mut Breakpoints, va: u64, data: &[u8]) -> Result<(), u64> {
        let mut chunks = Vec::new();
        let mut rest = data;
        let mut at = va;
        while !rest.is_empty() {
            let mapping = self.translate(at).map_err(|_| at)?;
            let len = rest.len().min(usize::try_from(mapping.rest).unwrap_or(usize::MAX));
            let (chunk, after) = rest.split_at(len);
            if !self.memory.contains(mapping.ipa, len) {
                return Err(at);
            }
            chunks.push((at, mapping.ipa, chunk));
            at = at.wrapping_add(len as u64);
            rest = after;
        }
        for (at, ipa, chunk) in chunks {
            if !breakpoints.write(ipa, chunk, self.memory) {
                return Err(at);
            }
        }
        Ok(())
    }
}

/// Fills a prefix of `data` from physical address `ipa` and returns its length: what there is of RAM.
pub fn read_physical(
    memory: &Memory,
    breakpoints: &Breakpoints,
    ipa: u64,
    data: &mut [u8],
) -> usize {
    let len = memory.rest(ipa).min(data.len());
    let Some(data) = data.get_mut(..len) else { return 0 };
    if breakpoints.read(ipa, data, memory) { len } else { 0 }
}

/// Writes all of `data` at physical address `ipa`. The error, with nothing written, is the first
/// address that is not in RAM.
pub fn write_physical(
    memory: &Memory,
    breakpoints: &mut Breakpoints,
    ipa: u64,
    data: &[u8],
) -> Result<(), u64> {
    if !memory.contains(ipa, data.len()) {
        return Err(ipa.saturating_add(memory.rest(ipa) as u64));
    }
    if breakpoints.write(ipa, data, memory) { Ok(()) } else { Err(ipa) }
}

/// The vCPUs' views, to look addresses up in that belong to any of them.
pub struct Spaces<'a> {
    views: &'a [View<'a>],
    /// The last lookup's: addresses come in order, many to a page.
    last: Option<Found>,
}

/// A range of addresses that one lookup tells all about.
struct Found {
    range: Range<u64>,
    ipa: u64,
    /// The space that was asked for.
    asked: AddressSpace,
    space: AddressSpace,
}

impl<'a> Spaces<'a> {
    /// Looks up in these.
    pub fn new(views: &'a [View<'a>]) -> Self {
        Self { views, last: None }
    }

    /// Where `va` leads in the space `asked`.
    pub fn resolve(&mut self, va: u64, asked: AddressSpace) -> Resolution {
        if let Some(last) = &self.last
            && last.asked == asked
            && last.range.contains(&va)
        {
            return Resolution::At(last.ipa + (va - last.range.start), last.space);
        }
        let mut resolution = Resolution::OtherSpace;
        for view in self.views {
            let is_in_space = view.has_space(va, asked);
            // Lower halves are a process's own. Upper ones are the kernel's, also where it has
            // moved on to other tables.
            if !is_in_space && !is_upper(va) {
                continue;
            }
            if let Ok((mapping, space)) = view.walk(va) {
                return self.found(va, mapping, asked, space);
            }
            if is_in_space {
                resolution = Resolution::Unmapped;
            }
        }
        // A hole in the kernel's tables is one, whoever else does not have them yet.
        let is_up = self.views.iter().any(|view| view.runtime().is_none());
        let lead = |view: &View| {
            let runtime = view.link.runtime().filter(|_| !is_up);
            let linked = || view.link.lead(view.link.linked(), va);
            Some((view.link.lead(runtime, va).or_else(linked)?, view.space(va)))
        };
        match self.views.first().and_then(lead) {
            Some((mapping, space)) => self.found(va, mapping, asked, space),
            None => resolution,
        }
    }

    fn found(
        &mut self,
        va: u64,
        mapping: Mapping,
        asked: AddressSpace,
        space: AddressSpace,
    ) -> Resolution {
        let range = va..va.saturating_add(mapping.rest);
        self.last = Some(Found { range, ipa: mapping.ipa, asked, space });
        Resolution::At(mapping.ipa, space)
    }
}

/// Whether TTBR1 is the one that translates this address.
pub fn is_upper(va: u64) -> bool {
    va & 1 << 55 != 0
}
