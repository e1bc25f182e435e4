//! Where a vCPU is and how it got there, for a guest that hangs: by frame records, without a debugger.

use std::iter;

use super::breakpoints::Breakpoints;
use super::link::LinkMap;
use super::memory::{View, is_upper};
use crate::arch::pauth::{self, Pointers};
use crate::kvm::control::Control;
use crate::kvm::error::Error;
use crate::kvm::memory::Memory;
use crate::kvm::regs;
use crate::kvm::vcpu::Vcpu;

/// Most frames that are told.
const MOST_FRAMES: usize = 32;

/// Where a vCPU is.
pub struct Place {
    /// Position among the vCPUs.
    pub vcpu: usize,
    /// PSCI has it turned off: the rest is where it was.
    pub is_off: bool,
    /// PC, then the return addresses, innermost first.
    pub addresses: Vec<u64>,
}

/// Where each of the parked vCPUs is. One whose registers cannot be read is left out.
pub fn places(control: &Control, memory: &Memory, link: LinkMap) -> Vec<Place> {
    let place = |index| place(&*control.vcpu(index)?, memory, link).ok();
    (0..control.len()).filter_map(place).collect()
}

fn place(vcpu: &Vcpu, memory: &Memory, link: LinkMap) -> Result<Place, Error> {
    let view = View::of(vcpu, memory, link)?;
    let tcr = vcpu.get(regs::TCR_EL1)?;
    let returns = return_addresses(&view, tcr, vcpu.get(regs::x(29))?);
    let addresses = iter::once(vcpu.pc()?).chain(returns).collect();
    Ok(Place { vcpu: vcpu.index(), is_off: vcpu.is_off()?, addresses })
}

/// The chain of frame records from this one on: its caller's record, and the address to return to (AAPCS64, 6.4.6). Ends at the first
/// that is not in memory, and at a null pointer.
fn return_addresses(view: &View<'_>, tcr: u64, frame: u64) -> impl Iterator<Item = u64> {
    // Nobody has planted anything where this is asked, or else at code.
    let nothing = Breakpoints::default();
    let record = move |frame: u64| {
        let mut bytes = [0; 16];
        let is_whole = frame != 0 && view.read(&nothing, frame, &mut bytes) == bytes.len();
        let (next, address) = bytes.split_first_chunk()?;
        let words = (u64::from_le_bytes(*next), u64::from_le_bytes(*address.first_chunk()?));
        is_whole.then_some(words)
    };
    let first = record(frame);
    iter::successors(first, move |(next, _)| record(*next))
        .map(move |(_, address)| without_code(address, tcr))
        .take_while(|address| *address != 0)
        .take(MOST_FRAMES)
}

/// An address to return to, as it was before it was signed.
fn without_code(address: u64, tcr: u64) -> u64 {
    let is_upper = is_upper(address);
    let mask = pauth::mask(tcr, Pointers { is_code: true, is_upper });
    if is_upper { address | mask } else { address & !mask }
}
