//! Load-exclusive/store-exclusive regions (Arm ARM B2.12). Every exception return clears the
//! exclusive monitor, so a store-exclusive that is reached by steps fails for ever. A region is
//! therefore run in one go, and stopped behind the store and at every other way out of it.

use super::flow::{self, Flow};
use super::insn::Word;
use super::pstate::Isa;

/// Instructions from the load to the store, at most. Compilers and libraries stay below half of it,
/// and the architecture promises progress for no more (B2.12.5).
const LIMIT: usize = 32;

/// Where to stop a vCPU that runs from a load-exclusive on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Region {
    /// Addresses of the instructions at which it has left the region.
    pub stops: Vec<u64>,
    /// Branches back to the load, each as it must read to lead to `landing` instead: the load itself
    /// cannot be stopped at, since that is where the vCPU starts.
    pub redirects: Vec<(u64, Word)>,
    /// Where redirected branches lead. To be stopped at as well; the vCPU is then at the load.
    pub landing: u64,
}

/// The region cannot be run in one go: it has no store within reach, goes places that are not known
/// beforehand, or may loop inside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unbounded;

/// The region that begins with the load-exclusive at `pc`. `fetch` returns the instruction at an
/// address, or `None` if there is none.
pub fn region(
    pc: u64,
    isa: Isa,
    mut fetch: impl FnMut(u64) -> Option<Word>,
) -> Result<Region, Unbounded> {
    let mut branches = Vec::new();
    let mut at = pc;
    let end = 'store: {
        for _ in 0..LIMIT {
            let word = fetch(at).ok_or(Unbounded)?;
            let next = at.wrapping_add(word.len(isa));
            match Flow::of(at, word, isa) {
                Flow::StoreExclusive => break 'store next,
                Flow::Branch(target) => branches.push((at, word, target)),
                Flow::Next | Flow::LoadExclusive => {}
                Flow::Opaque => return Err(Unbounded),
            }
            at = next;
        }
        return Err(Unbounded);
    };

    let mut stops = vec![end];
    for (from, _, target) in &branches {
        let is_inside = (pc..end).contains(target);
        if is_inside && *target != pc && target <= from {
            return Err(Unbounded);
        }
        if !is_inside && !stops.contains(target) {
            stops.push(*target);
        }
    }
    let step = if isa == Isa::T32 { 2 } else { 4 };
    // One more place than there are stops is enough to find one that is none.
    let places = (1..=stops.len() as u64 + 1).map(|n| end.wrapping_add(n * step));
    let landing = places.into_iter().find(|place| !stops.contains(place)).ok_or(Unbounded)?;
    let redirects = branches
        .into_iter()
        .filter(|(.., target)| *target == pc)
        .map(|(from, word, _)| Some((from, flow::retarget(from, word, isa, landing)?)))
        .collect::<Option<_>>()
        .ok_or(Unbounded)?;
    Ok(Region { stops, redirects, landing })
}

#[cfg(test)]
#[path = "exclusive_tests.rs"]
mod tests;
