//! `gic`: interrupts, and what becomes of them.

use std::sync::Arc;

use gdbstub::{Target as _, TargetError, Tid};

use super::arguments;
use super::run::Call;
use crate::arch::gic::{self, Bank, GICD_CTLR, GICD_IROUTER, GICD_ITARGETSR, HEADING, Interrupt};
use crate::debug::target::host;
use crate::kvm::error::Error;
use crate::kvm::gic::{Gic, INTIDS};
use crate::kvm::regs;

/// Private interrupts: SGIs and PPIs.
const PRIVATE: u32 = 32;

/// Software generated ones among them.
const SGIS: u32 = 16;

/// Bits of MPIDR_EL1 that are affinities.
const AFFINITY: u64 = 0xff_00ff_ffff;

pub fn run(call: &mut Call<'_, '_>) -> Result<(), TargetError> {
    let is_all = match call.words {
        [] => false,
        ["all"] => true,
        [word, ..] => return Err(arguments::unexpected("gic", word, "all or nothing")),
    };
    let Some(gic) = call.guest.gic.clone() else { return Ok(()) };
    let mpidrs: Vec<u64> = (0..call.guest.threads())
        .map(|index| {
            let tid = Tid::from_index(index);
            call.guest.with_vcpu(tid, |vcpu| vcpu.get(regs::MPIDR_EL1))
        })
        .collect::<Result<_, _>>()?;
    let view = View { gic, mpidrs, is_all };
    let version = if view.gic.is_v3() { "GICv3" } else { "GICv2" };
    let control = view.gic.distributor(0, GICD_CTLR).map_err(|error| host(&error))?;
    call.print(&format!("{version}  GICD_CTLR {control:#x}\n"));
    for index in 0..view.mpidrs.len() {
        let interface = view.interface(index).map_err(|error| host(&error))?;
        let interrupts = view.private(index).map_err(|error| host(&error))?;
        call.print(&format!("vCPU {index}: {interface}\n"));
        view.show(call, interrupts.into_iter().map(|interrupt| (interrupt, String::new())));
    }
    let mut shared = Vec::new();
    for first in (PRIVATE..INTIDS).step_by(32) {
        shared.extend(view.shared(first).map_err(|error| host(&error))?);
    }
    call.print("shared\n");
    view.show(call, shared.into_iter());
    Ok(())
}

/// The controller, and what is to be shown of it.
struct View {
    gic: Arc<Gic>,
    mpidrs: Vec<u64>,
    is_all: bool,
}

impl View {
    /// Lines for those that matter, with what they are of and where they go.
    fn show(&self, call: &mut Call<'_, '_>, interrupts: impl Iterator<Item = (Interrupt, String)>) {
        // SGIs are always enabled here (KVM, vgic_mmio_write_cenable).
        let is_enabled = |it: &Interrupt| it.enabled && it.intid >= SGIS;
        let is_shown = |it: &Interrupt| self.is_all || is_enabled(it) || it.pending || it.active;
        let mut heading = Some(HEADING);
        for (interrupt, target) in interrupts.filter(|(interrupt, _)| is_shown(interrupt)) {
            if let Some(heading) = heading.take() {
                call.print(&format!(" {heading}\n"));
            }
            let known = &call.guest.handover.interrupts;
            let name = known.iter().find(|(intid, _)| *intid == interrupt.intid);
            let name = match name {
                Some((_, name)) => (*name).to_owned(),
                None if interrupt.intid < SGIS => format!("SGI {}", interrupt.intid),
                None => String::new(),
            };
            let line = format!("  {interrupt}      {target}{name}");
            call.print(&format!("{}\n", line.trim_end()));
        }
    }

    fn mpidr(&self, index: usize) -> u64 {
        self.mpidrs.get(index).copied().unwrap_or_default()
    }

    /// A vCPU's own.
    fn private(&self, index: usize) -> Result<Vec<Interrupt>, Error> {
        let mpidr = self.mpidr(index);
        if self.gic.is_v3() {
            let bank = Bank::read(0, |offset| self.gic.redistributor(mpidr, offset))?;
            Ok(bank.interrupts(Some(self.gic.levels(mpidr, 0)?)).collect())
        } else {
            let bank = Bank::read(0, |offset| self.gic.distributor(index, offset))?;
            Ok(bank.interrupts(None).collect())
        }
    }

    /// 32 that all share, and where they go.
    fn shared(&self, first: u32) -> Result<Vec<(Interrupt, String)>, Error> {
        let bank = Bank::read(first, |offset| self.gic.distributor(0, offset))?;
        let lines = if self.gic.is_v3() { Some(self.gic.levels(0, first)?) } else { None };
        let with_target = |interrupt: Interrupt| Ok((interrupt, self.target(interrupt.intid)?));
        bank.interrupts(lines).map(with_target).collect()
    }

    fn target(&self, intid: u32) -> Result<String, Error> {
        let vcpus: Vec<String> = if self.gic.is_v3() {
            let at = GICD_IROUTER + 8 * intid;
            let low = self.gic.distributor(0, at)?;
            let high = self.gic.distributor(0, at + 4)?;
            match gic::route(u64::from(high) << 32 | u64::from(low)) {
                None => vec!["any".to_owned()],
                Some(affinity) => {
                    let is_there = |mpidr: &u64| *mpidr & AFFINITY == affinity;
                    match self.mpidrs.iter().position(is_there) {
                        Some(index) => vec![index.to_string()],
                        None => vec![format!("none (affinity {affinity:#x})")],
                    }
                }
            }
        } else {
            let word = self.gic.distributor(0, GICD_ITARGETSR + (intid & !3))?;
            let targets = word >> (intid % 4 * 8) & 0xff;
            (0..8).filter(|vcpu| targets >> vcpu & 1 != 0).map(|vcpu| vcpu.to_string()).collect()
        };
        Ok(match vcpus.join(", ") {
            none if none.is_empty() => "to no vCPU  ".to_owned(),
            vcpus => format!("to vCPU {vcpus}  "),
        })
    }

    /// A vCPU's interface.
    fn interface(&self, index: usize) -> Result<String, Error> {
        let mpidr = self.mpidr(index);
        let [pmr, group0, group1, active0, active1] = if self.gic.is_v3() {
            // ICC_PMR_EL1, ICC_IGRPEN0_EL1, ICC_IGRPEN1_EL1, ICC_AP0R0_EL1, ICC_AP1R0_EL1.
            const REGISTERS: [u16; 5] =
                [icc(4, 6, 0), icc(12, 12, 6), icc(12, 12, 7), icc(12, 8, 4), icc(12, 9, 0)];
            let mut values = [0; 5];
            for (encoding, value) in REGISTERS.into_iter().zip(&mut values) {
                *value = self.gic.cpu_register(mpidr, encoding)?;
            }
            values
        } else {
            // GICC_CTLR, GICC_PMR, GICC_APR0 (IHI 0048, 4.4). KVM gives the priority mask as GICH_VMCR has it, the upper
            // five bits of eight (arm-vgic.rst).
            let read = |offset| self.gic.cpu_interface(index, offset).map(u64::from);
            let (control, pmr, active) = (read(0)?, read(4)? << 3, read(0xd0)?);
            [pmr, control & 1, control >> 1 & 1, active, 0]
        };
        let active = (active0 | active1) as u32;
        let running = match gic::running_priority(active) {
            Some(priority) => format!("runs at priority {priority:#04x}"),
            None => "idle".to_owned(),
        };
        Ok(format!("PMR {pmr:#04x}, group 0 {}, group 1 {}, {running}", on(group0), on(group1)))
    }
}

fn on(enable: u64) -> &'static str {
    if enable & 1 != 0 { "on" } else { "off" }
}

/// Encoding of an ICC_*_EL1 register: op0 3, op1 0.
const fn icc(crn: u16, crm: u16, op2: u16) -> u16 {
    3 << 14 | crn << 7 | crm << 3 | op2
}
