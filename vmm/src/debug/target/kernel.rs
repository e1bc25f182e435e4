//! Where the kernel is, found out when a client first needs to know.

use gdbstub::{Relocation, TargetError, Tid};

use super::Guest;
use crate::arch::reverse;
use crate::arch::stage1::Regime;
use crate::debug::link::LinkMap;
use crate::debug::memory::is_upper;
use crate::kvm::control::Control;
use crate::kvm::memory::Memory;

impl Guest {
    /// Where the kernel is, for a client that has its symbols.
    pub(in crate::debug) fn where_it_is(&self) -> Relocation {
        let link = self.search();
        let slide = link.text.zip(link.link).map(|(text, link)| text.wrapping_sub(link));
        Relocation { text: link.text, slide: slide.or_else(|| self.program.fixed_slide()) }
    }

    /// What it takes to say where the guest is: [`crate::debug::backtrace`].
    pub fn insight(&self) -> (&Control, &Memory, LinkMap) {
        (&self.control, &self.engine.memory, self.learn())
    }

    /// Finds out where the kernel is as far as its symbols and its memory tell.
    pub(super) fn learn(&self) -> LinkMap {
        let mut link = self.program.link_map(&self.engine.memory);
        link.text = link.text.or(self.engine.link().text);
        self.engine.set_link(link);
        link
    }

    /// Reads a prefix of `data`, and says how much of it.
    pub(super) fn read_virtual(
        &self,
        tid: Tid,
        addr: u64,
        data: &mut [u8],
    ) -> Result<usize, TargetError> {
        let read = self.view(tid)?.read(&self.engine.points().software, addr, data);
        if read > 0 || !is_upper(addr) {
            return Ok(read);
        }
        self.learn();
        Ok(self.view(tid)?.read(&self.engine.points().software, addr, data))
    }

    /// As [`Self::learn`], if `addr` may be the kernel's and leads nowhere as far as it is known.
    pub(super) fn learn_for(&self, tid: Tid, addr: u64) -> Result<(), TargetError> {
        if is_upper(addr) && self.view(tid)?.translate(addr).is_err() {
            self.learn();
        }
        Ok(())
    }

    /// The same, for a breakpoint, which is to be known by all of the Image's addresses.
    pub(super) fn learn_for_breakpoint(&self, tid: Tid, addr: u64) -> Result<(), TargetError> {
        self.learn_for(tid, addr)?;
        if is_upper(addr) && self.engine.link().text.is_none() {
            self.search();
        }
        Ok(())
    }

    /// Finds out where the kernel is by all means that there are.
    fn search(&self) -> LinkMap {
        let mut link = self.learn();
        if link.text.is_none() && link.size > 0 {
            link.text = self.text_by_tables(link);
            self.engine.set_link(link);
        }
        link
    }

    /// Where the kernel's own tables have the Image, once they are in use. Looked for once a stop.
    fn text_by_tables(&self, link: LinkMap) -> Option<u64> {
        let code = link.image.checked_add(link.code)?;
        let memory = &self.engine.memory;
        let find = || {
            let regimes = self.upper_regimes();
            reverse::executable_address(code, regimes, |ipa| memory.read_u64(ipa))
        };
        self.patience.look(find)?.checked_sub(link.code)
    }

    /// By what vCPUs translate the upper half, or have at EL1.
    fn upper_regimes(&self) -> impl Iterator<Item = Regime> {
        (0..self.control.len()).flat_map(|index| {
            let known = self.with_vcpu(Tid::from_index(index), |vcpu| {
                let regime = vcpu.regime()?;
                let tables = vcpu.kernel_tables().iter();
                let others = tables.map(move |ttbr1| Regime { ttbr1, ..regime });
                Ok(std::iter::once(regime).chain(others))
            });
            known.into_iter().flatten()
        })
    }
}
