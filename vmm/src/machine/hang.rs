//! Where the vCPUs are of a guest that was stopped against its will.

use std::fmt;
use std::sync::Arc;

use boot::elf::Vmlinux;

use crate::debug::backtrace::Place;
use crate::debug::link::LinkMap;
use crate::json::Json;

/// A vCPU, and the names of where it is.
pub struct Whereabouts {
    vcpu: usize,
    is_off: bool,
    /// PC, then its callers.
    frames: Vec<Frame>,
}

/// An address, and its name if it has one.
struct Frame {
    address: u64,
    name: Option<String>,
}

/// The places by their names. `link` leads from where the kernel runs to where it was linked to.
pub fn whereabouts(
    places: Vec<Place>,
    elf: Option<&Arc<Vmlinux>>,
    link: LinkMap,
) -> Vec<Whereabouts> {
    // A call may be its function's last instruction, and what it returns to another function's first.
    let within = |n: usize, address: u64| if n == 0 { address } else { address.wrapping_sub(4) };
    let linked = |address| {
        let offset = link.physical(address)?.checked_sub(link.image)?;
        link.link?.checked_add(offset)
    };
    let addresses: Vec<Option<u64>> = places
        .iter()
        .flat_map(|place| (0..).zip(&place.addresses))
        .map(|(n, address)| linked(within(n, *address)))
        .collect();
    let known: Vec<u64> = addresses.iter().copied().flatten().collect();
    let names = elf.and_then(|elf| elf.names(&known).ok()).unwrap_or_default();
    let mut names = names.into_iter();
    let mut names =
        addresses.into_iter().map(|address| address.and_then(|_| names.next().flatten()));
    let whereabouts = |place: Place| {
        let frame = |(n, address): (usize, u64)| {
            let name = names.next().flatten();
            let name = name.map(|(name, offset)| {
                format!("{name}+{:#x}", offset + address - within(n, address))
            });
            Frame { address, name }
        };
        let frames = (0..).zip(place.addresses).map(frame).collect();
        Whereabouts { vcpu: place.vcpu, is_off: place.is_off, frames }
    };
    places.into_iter().map(whereabouts).collect()
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#018x}", self.address)?;
        self.name.as_ref().map_or(Ok(()), |name| write!(f, " {name}"))
    }
}

impl fmt::Display for Whereabouts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "vCPU {}", self.vcpu)?;
        if self.is_off {
            return f.write_str(" is off");
        }
        for (n, frame) in self.frames.iter().enumerate() {
            let what = if n == 0 { " at" } else { "\n  from" };
            write!(f, "{what} {frame}")?;
        }
        Ok(())
    }
}

impl From<&Whereabouts> for Json {
    fn from(it: &Whereabouts) -> Self {
        let frame = |frame: &Frame| {
            Self::object([
                ("address", format!("{:#x}", frame.address).into()),
                ("symbol", frame.name.clone().into()),
            ])
        };
        Self::object([
            ("vcpu", (it.vcpu as u64).into()),
            ("state", if it.is_off { "off" } else { "on" }.into()),
            ("frames", it.frames.iter().map(frame).collect()),
        ])
    }
}
