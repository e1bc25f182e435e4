//! Breakpoints and watchpoints, from a packet to memory or to a debug register.

use gdbstub::{Agent, Kind, Stoppoint, TargetError, Tid};

use super::Guest;
use crate::arch::watchpoint::{Access, Watchpoint};
use crate::debug::memory::{Spaces, View};

impl Guest {
    /// Lets software breakpoints follow what the guest has done to its mappings and text.
    pub(super) fn follow(&self) -> Result<(), TargetError> {
        if self.engine.points().software.is_empty() {
            return Ok(());
        }
        let views: Vec<View> = (0..self.control.len())
            .map(|index| self.view(Tid::from_index(index)))
            .collect::<Result<_, _>>()?;
        let mut spaces = Spaces::new(&views);
        self.engine.points().follow(|va, space| spaces.resolve(va, space), &self.engine.memory);
        Ok(())
    }

    /// Plants a BRK, or takes a debug register where `addr` does not lead to memory (yet).
    fn insert_software(&self, tid: Tid, addr: u64) -> Result<(), TargetError> {
        let view = self.view(tid)?;
        let (ipa, space) = match view.locate(addr) {
            Ok((mapping, space)) => (Some(mapping.ipa), space),
            Err(_) => (None, view.space(addr)),
        };
        if ipa.is_none() {
            check_canonical("breakpoint", addr)?;
        }
        let insert = || {
            let mut points = self.engine.points();
            points.insert_software(addr, space, ipa, &self.engine.memory)
        };
        insert().or_else(|_| {
            // Another one that a register stands in for may lead to memory by now.
            self.follow()?;
            insert()
        })
    }

    fn insert_hardware(&self, addr: u64) -> Result<(), TargetError> {
        let insert = || self.engine.points().insert_hardware(addr);
        insert().or_else(|_| {
            self.follow()?;
            insert()
        })
    }

    /// Sets a breakpoint or a watchpoint.
    pub(super) fn set(&self, tid: Tid, point: Stoppoint, agent: Agent) -> Result<(), TargetError> {
        self.engine.points().check_room(&agent)?;
        let access = match point.kind {
            Kind::Software => {
                check_alignment("breakpoint", point.addr)?;
                self.insert_software(tid, point.addr)?;
                self.engine.points().set_software_agent(point.addr, agent);
                return Ok(());
            }
            Kind::Hardware => {
                check_code("breakpoint", point.addr)?;
                self.insert_hardware(point.addr)?;
                self.engine.points().set_hardware_agent(point.addr, agent);
                return Ok(());
            }
            Kind::Write => Access::Write,
            Kind::Read => Access::Read,
            Kind::Access => Access::Any,
        };
        self.engine.points().insert_watchpoint(watchpoint(point, access)?)
    }

    /// Takes one away.
    pub(super) fn unset(&self, point: Stoppoint) -> Result<(), TargetError> {
        let mut points = self.engine.points();
        let access = match point.kind {
            Kind::Software => {
                points.remove_software(point.addr, &self.engine.memory);
                return Ok(());
            }
            Kind::Hardware => {
                points.remove_hardware(point.addr);
                return Ok(());
            }
            Kind::Write => Access::Write,
            Kind::Read => Access::Read,
            Kind::Access => Access::Any,
        };
        points.remove_watchpoint(watchpoint(point, access)?);
        Ok(())
    }
}

/// A watchpoint packet's access and range.
fn watchpoint(point: Stoppoint, access: Access) -> Result<Watchpoint, TargetError> {
    let watched = Watchpoint::new(point.addr, point.len, access).ok_or_else(|| {
        TargetError::Invalid(format!(
            "watchpoint at {:#x}: length {:#x} is empty or passes the end of the address space",
            point.addr, point.len
        ))
    })?;
    check_canonical("watchpoint", watched.addr)?;
    Ok(watched)
}

/// What a breakpoint register can stop at, and nowhere else.
pub(super) fn check_code(what: &str, addr: u64) -> Result<(), TargetError> {
    check_alignment(what, addr)?;
    check_canonical(what, addr)
}

/// Debug registers compare no more than the bits of a virtual address: bits 63:52 of any other
/// value would be ignored.
fn check_canonical(what: &str, addr: u64) -> Result<(), TargetError> {
    if matches!(addr >> 52, 0 | 0xfff) {
        Ok(())
    } else {
        Err(TargetError::Invalid(format!("{what} at {addr:#x}: not a canonical address")))
    }
}

/// A64 instructions are four aligned bytes.
fn check_alignment(what: &str, addr: u64) -> Result<(), TargetError> {
    if addr.is_multiple_of(4) {
        Ok(())
    } else {
        Err(TargetError::Invalid(format!("{what} at {addr:#x}: expected a multiple of 4")))
    }
}
