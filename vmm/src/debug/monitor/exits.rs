//! `exits`: what the vCPUs come back from the guest for.

use gdbstub::{Target as _, TargetError, Tid};

use super::arguments;
use super::run::Call;
use crate::arch::timer::microseconds;
use crate::kvm::clock;

pub fn run(call: &mut Call<'_, '_>) -> Result<(), TargetError> {
    match call.words {
        [] => show(call),
        ["reset"] => {
            for index in 0..call.guest.threads() {
                if let Some(mut vcpu) = call.guest.control.vcpu(index) {
                    vcpu.reset_exits();
                }
            }
            Ok(())
        }
        [word, ..] => Err(arguments::unexpected("exits", word, "reset or nothing")),
    }
}

fn show(call: &mut Call<'_, '_>) -> Result<(), TargetError> {
    let frequency = clock::frequency();
    for index in 0..call.guest.threads() {
        let mut kinds: Vec<_> =
            call.guest.with_vcpu(Tid::from_index(index), |vcpu| Ok(vcpu.exits().collect()))?;
        // What took longest comes first.
        kinds.sort_by_key(|(_, kind)| std::cmp::Reverse(kind.ticks));
        let nothing = if kinds.is_empty() { ": none" } else { "" };
        call.print(&format!("vCPU {index}{nothing}\n"));
        if !kinds.is_empty() {
            call.print(&format!("  {:24} {:>10} {:>12} {:>9}\n", "", "count", "us", "us each"));
        }
        for (name, kind) in kinds {
            let us = microseconds(kind.ticks, frequency);
            let each = microseconds(kind.ticks, frequency.saturating_mul(kind.count));
            call.print(&format!("  {name:24} {:>10} {us:>12} {each:>9}\n", kind.count));
        }
    }
    Ok(())
}
