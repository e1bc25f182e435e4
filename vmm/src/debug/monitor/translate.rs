//! `translate`: one walk, level by level.

use gdbstub::TargetError;

use super::arguments;
use super::run::Call;
use super::units;
use crate::arch::attributes::Attributes;
use crate::arch::stage1::{self, Lookup, Regime, SCTLR_M, Shape};
use crate::kvm::regs;

pub fn run(call: &mut Call<'_, '_>) -> Result<(), TargetError> {
    let word = arguments::one("translate", call.words, "a virtual address")?;
    let va = arguments::number("translate", word)?;
    let view = call.guest.view(call.tid)?;
    let mair = call.guest.with_vcpu(call.tid, |vcpu| vcpu.get(regs::MAIR_EL1))?;
    let memory = &call.guest.engine.memory;
    let read = |ipa| memory.read_u64(ipa);
    let is_mapped = |regime: &Regime| stage1::translate(va, regime, read).is_ok();
    // The one that the address translates by, or else the vCPU's own.
    let regimes: Vec<Regime> = view.regimes(va).collect();
    let chosen = regimes.iter().position(is_mapped).unwrap_or(0);
    let Some(regime) = regimes.get(chosen) else { return Ok(()) };

    let mut text = heading(va, regime, chosen > 0);
    let mut lookups = Vec::new();
    let found = stage1::trace(va, regime, read, |lookup| lookups.push(*lookup));
    let end = lookups.len().saturating_sub(1);
    for (index, lookup) in lookups.iter().enumerate() {
        text += &level(lookup, index == end && found.is_ok());
    }
    let outcome = match found {
        Ok(mapping) => {
            let what = if memory.contains(mapping.ipa, 1) { "RAM" } else { "not RAM" };
            let attributes = lookups.split_last().map(|(leaf, tables)| {
                let tables = tables.iter().filter_map(|lookup| lookup.descriptor);
                let hierarchical = tables.fold(0, |all, descriptor| all | descriptor >> 59);
                let descriptor = leaf.descriptor.unwrap_or_default();
                Attributes::of(va, descriptor, hierarchical, regime).describe(mair)
            });
            format!("physical  {:#x}, {what}\n{}", mapping.ipa, attributes.unwrap_or_default())
        }
        Err(unmapped) => format!("does not translate: {unmapped}\n"),
    };
    text += &outcome;
    call.print(&text);
    Ok(())
}

/// What the address is looked up by.
fn heading(va: u64, regime: &Regime, is_kernels: bool) -> String {
    if regime.sctlr & SCTLR_M == 0 {
        return format!("{va:#x} with the MMU off (SCTLR_EL1.M = 0)\n");
    }
    let ttbr = if stage1::is_upper(va) { "TTBR1_EL1" } else { "TTBR0_EL1" };
    let seen = if is_kernels { " as last seen at EL1" } else { "" };
    match Shape::of(va, regime) {
        Ok(shape) => format!(
            "{va:#x} by {ttbr} {:#x}{seen}: {} granule, {}-bit addresses{}\n",
            shape.table,
            units::bytes(1 << shape.page_bits),
            shape.input_bits,
            if shape.is_lpa2 { ", LPA2" } else { "" }
        ),
        Err(_) => format!("{va:#x} by {ttbr}, TCR_EL1 {:#x}\n", regime.tcr),
    }
}

fn level(lookup: &Lookup, is_leaf: bool) -> String {
    let Lookup { level, table, index, shift, descriptor } = *lookup;
    let found = match descriptor {
        None => "outside RAM".to_owned(),
        Some(descriptor) if is_leaf => {
            let kind = if level == 3 { "page" } else { "block" };
            format!("{descriptor:#018x}  {kind} of {}", units::bytes(1 << shift))
        }
        Some(descriptor) if descriptor & 3 == 3 && level < 3 => {
            format!("{descriptor:#018x}  table")
        }
        Some(descriptor) => format!("{descriptor:#018x}  invalid"),
    };
    format!("level {level:2}  table {table:#x} entry {index:<4} {found}\n")
}
