//! PL061 GPIO controller (ARM DDI 0190), as far as eight inputs that the host drives go.
//!
//! Not emulated: what the guest drives leads nowhere; GPIOAFSEL holds what was written and does nothing.

use crate::bus::{Device, Refused};
use crate::irq::IrqLine;

#[cfg(test)]
mod tests;

/// Register offsets (DDI 0190, table 3-1). Below GPIODIR all is GPIODATA, with a mask in address bits 9:2.
mod register {
    pub const DIR: u64 = 0x400;
    pub const IS: u64 = 0x404;
    pub const IBE: u64 = 0x408;
    pub const IEV: u64 = 0x40c;
    pub const IE: u64 = 0x410;
    pub const RIS: u64 = 0x414;
    pub const MIS: u64 = 0x418;
    pub const IC: u64 = 0x41c;
    pub const AFSEL: u64 = 0x420;
    /// GPIOPeriphID0 to 3, GPIOPCellID0 to 3.
    pub const IDS: u64 = 0xfe0;
}

/// Part 0x061, designer ARM, revision 0; a PrimeCell (DDI 0190, 3.3.10 and 3.3.11).
const IDS: [u8; 8] = [0x61, 0x10, 0x04, 0x00, 0x0d, 0xf0, 0x05, 0xb1];

/// A PL061. A bit a line in each register.
pub struct Pl061 {
    irq: Box<dyn IrqLine>,
    /// What the host drives.
    inputs: u8,
    data: u8,
    direction: u8,
    /// 1: level, 0: edge.
    is_level: u8,
    both_edges: u8,
    /// 1: rising or high, 0: falling or low.
    event: u8,
    enabled: u8,
    /// Edges that were seen and not cleared.
    edges: u8,
    alternate: u8,
    is_raised: bool,
}

impl Pl061 {
    /// A controller as after reset, all inputs low.
    pub fn new(irq: Box<dyn IrqLine>) -> Self {
        Self {
            irq,
            inputs: 0,
            data: 0,
            direction: 0,
            is_level: 0,
            both_edges: 0,
            event: 0,
            enabled: 0,
            edges: 0,
            alternate: 0,
            is_raised: false,
        }
    }

    /// Drives an input, 0 to 7.
    pub fn set_input(&mut self, line: u8, is_high: bool) {
        let bit = 1_u8.checked_shl(line.into()).unwrap_or(0);
        let inputs = if is_high { self.inputs | bit } else { self.inputs & !bit };
        // Of a line that the guest drives itself, the pin is not ours.
        let changed = (inputs ^ self.inputs) & !self.direction & !self.is_level;
        self.edges |= changed & (self.both_edges | !(inputs ^ self.event));
        self.inputs = inputs;
        self.update();
    }

    /// Whether the guest wants to be interrupted when this input changes.
    pub fn is_awaited(&self, line: u8) -> bool {
        self.enabled & 1_u8.checked_shl(line.into()).unwrap_or(0) != 0
    }

    fn pins(&self) -> u8 {
        self.inputs & !self.direction | self.data & self.direction
    }

    /// GPIORIS: an edge lasts until it is cleared, a level as long as it is there.
    fn raw(&self) -> u8 {
        self.edges & !self.is_level | !(self.pins() ^ self.event) & self.is_level
    }

    fn update(&mut self) {
        let is_raised = self.raw() & self.enabled != 0;
        if is_raised != self.is_raised {
            self.is_raised = is_raised;
            self.irq.set(is_raised);
        }
    }

    fn get(&self, offset: u64) -> Option<u8> {
        Some(match offset {
            0..register::DIR => self.pins() & (offset >> 2) as u8,
            register::DIR => self.direction,
            register::IS => self.is_level,
            register::IBE => self.both_edges,
            register::IEV => self.event,
            register::IE => self.enabled,
            register::RIS => self.raw(),
            register::MIS => self.raw() & self.enabled,
            register::AFSEL => self.alternate,
            register::IDS.. => *IDS.get(usize::try_from((offset - register::IDS) / 4).ok()?)?,
            _ => return None,
        })
    }

    fn set(&mut self, offset: u64, value: u8) -> Option<()> {
        match offset {
            0..register::DIR => {
                let mask = (offset >> 2) as u8;
                self.data = self.data & !mask | value & mask;
            }
            register::DIR => self.direction = value,
            register::IS => self.is_level = value,
            register::IBE => self.both_edges = value,
            register::IEV => self.event = value,
            register::IE => self.enabled = value,
            register::IC => self.edges &= !value,
            register::AFSEL => self.alternate = value,
            _ => return None,
        }
        self.update();
        Some(())
    }
}

impl Device for Pl061 {
    fn read(&mut self, offset: u64, data: &mut [u8]) -> Result<(), Refused> {
        let value = self.get(aligned(offset, data.len())?).ok_or(NO_REGISTER)?;
        data.fill(0);
        if let Some(byte) = data.first_mut() {
            *byte = value;
        }
        Ok(())
    }

    fn write(&mut self, offset: u64, data: &[u8]) -> Result<(), Refused> {
        let value = data.first().copied().unwrap_or_default();
        self.set(aligned(offset, data.len())?, value).ok_or(NO_REGISTER)
    }
}

const NO_REGISTER: Refused = Refused("no such register, or not in this direction");

/// Registers have 8 bits, and a word each.
fn aligned(offset: u64, size: usize) -> Result<u64, Refused> {
    if offset.is_multiple_of(4) && size <= 4 {
        Ok(offset)
    } else {
        Err(Refused("registers take aligned accesses of 4 bytes or less only"))
    }
}
