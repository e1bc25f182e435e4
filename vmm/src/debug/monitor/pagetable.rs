//! `pagetable`: all that is mapped.

use std::collections::HashMap;

use gdbstub::TargetError;

use super::arguments;
use super::run::Call;
use super::units;
use crate::arch::kernel_tables;
use crate::arch::pstate::Level;
use crate::arch::stage1::{Regime, SCTLR_M, Shape};
use crate::arch::tables::{self, End, Run};
use crate::kvm::memory::Memory;
use crate::kvm::regs;

/// Descriptors for one answer: 4 GiB in pages of 4 KiB.
const LIMIT: usize = 1 << 20;

pub fn run(call: &mut Call<'_, '_>) -> Result<(), TargetError> {
    let halves = match call.words {
        [] => vec![Half::Lower, Half::Upper],
        ["lower"] => vec![Half::Lower],
        ["upper"] => vec![Half::Upper],
        [word] if word.starts_with(|first: char| first.is_ascii_digit()) => {
            vec![Half::From(arguments::number("pagetable", word)?)]
        }
        [word] => {
            let expected = "lower, upper or a virtual address";
            return Err(arguments::unexpected("pagetable", word, expected));
        }
        [_, more, ..] => {
            let expected = "nothing behind the first argument";
            return Err(arguments::unexpected("pagetable", more, expected));
        }
    };
    let (mair, sctlr) = call
        .guest
        .with_vcpu(call.tid, |vcpu| Ok((vcpu.get(regs::MAIR_EL1)?, vcpu.get(regs::SCTLR_EL1)?)))?;
    if sctlr & SCTLR_M == 0 {
        call.print("the MMU is off (SCTLR_EL1.M = 0): virtual addresses are physical ones\n");
        return Ok(());
    }
    halves.into_iter().try_for_each(|half| list(call, half, mair))
}

#[derive(Clone, Copy)]
enum Half {
    Lower,
    Upper,
    From(u64),
}

fn list(call: &mut Call<'_, '_>, half: Half, mair: u64) -> Result<(), TargetError> {
    let inside = match half {
        Half::Lower => 0,
        Half::Upper => u64::MAX,
        Half::From(va) => va,
    };
    let Some((regime, is_own)) = regime(call, inside)? else { return Ok(()) };
    let seen = format!("TTBR1_EL1 {:#x} as last seen at EL1", regime.ttbr1);
    let name = match half {
        Half::Lower => "lower half, TTBR0_EL1".to_owned(),
        Half::Upper if is_own => "upper half, TTBR1_EL1".to_owned(),
        Half::Upper => format!("upper half, {seen}"),
        Half::From(_) if is_own => "from there on".to_owned(),
        Half::From(_) => format!("from there on, {seen}"),
    };
    let from = match half {
        Half::Lower => Ok(0),
        Half::Upper => Shape::of(inside, &regime).map(|shape| u64::MAX << shape.input_bits),
        Half::From(va) => Ok(va),
    };
    let memory = call.guest.engine.memory.clone();
    let mut pages = Pages { memory: &memory, pages: HashMap::new() };
    let mut is_first = true;
    let mut see = |run: &Run| {
        if is_first {
            call.print(&format!("{name}:\n"));
            is_first = false;
        }
        call.print(&line(run));
        !call.is_full()
    };
    let read = |ipa| pages.read(ipa);
    let end = from.and_then(|from| tables::survey(from, &regime, mair, LIMIT, read, &mut see));
    match end {
        Ok(End::Half) if is_first => call.print(&format!("{name}: nothing\n")),
        Ok(End::Half) => {}
        Ok(End::Before(va)) => call.print(&format!("go on with: pagetable {va:#x}\n")),
        Err(unmapped) => call.print(&format!("{name}: {unmapped}\n")),
    }
    Ok(())
}

/// What addresses in the half of `inside` are translated by, and whether that is the vCPU's own: only at EL0 with the
/// kernel unmapped (KPTI) is it not.
fn regime(call: &Call<'_, '_>, inside: u64) -> Result<Option<(Regime, bool)>, TargetError> {
    let regimes: Vec<Regime> = call.guest.view(call.tid)?.regimes(inside).collect();
    let (level, stack, vectors) = call.guest.with_vcpu(call.tid, |vcpu| {
        Ok((vcpu.pstate()?.level(), vcpu.get(regs::SP_EL1)?, vcpu.get(regs::VBAR_EL1)?))
    })?;
    let memory = &call.guest.engine.memory;
    let chosen = match level {
        Level::El0 => kernel_tables::kernels(&regimes, stack, vectors, |ipa| memory.read_u64(ipa)),
        Level::El1 => 0,
    };
    Ok(regimes.get(chosen).map(|regime| (*regime, chosen == 0)))
}

fn line(run: &Run) -> String {
    let leads = match run.pieces {
        1 => format!("-> {:#x}", run.ipa),
        pieces => format!("-> {pieces} pieces"),
    };
    // All of the address space would be one byte too many; half of it is the most there is.
    let size = units::bytes((run.last - run.first).saturating_add(1));
    format!("{:#018x}..{:#018x} {size:>10} {leads:<16} {}\n", run.first, run.last, run.gist)
}

/// What has been read of guest memory: the same tables are asked for again and again.
struct Pages<'a> {
    memory: &'a Memory,
    pages: HashMap<u64, Option<Box<[u8; PAGE]>>>,
}

const PAGE: usize = 4096;

impl Pages<'_> {
    /// The little-endian word at an address that is a multiple of 8.
    fn read(&mut self, ipa: u64) -> Option<u64> {
        /// More than the levels of a walk.
        const MOST: usize = 64;
        let (number, offset) = (ipa / PAGE as u64, (ipa % PAGE as u64) as usize);
        if self.pages.len() >= MOST && !self.pages.contains_key(&number) {
            self.pages.clear();
        }
        let page = self.pages.entry(number).or_insert_with(|| {
            let mut page = Box::new([0; PAGE]);
            self.memory.read(number * PAGE as u64, &mut *page).then_some(page)
        });
        let word = page.as_ref()?.get(offset..)?.first_chunk()?;
        Some(u64::from_le_bytes(*word))
    }
}
