//! Offsets are spelled out here rather than taken from `registers`, so that each checks the other.

mod hostile;
mod linux;
mod loopback;
mod paste;
mod polling;
mod posted;
mod receive;
mod registers;
mod transmit;
mod wire;

use super::Pl011;
use super::registers::{cr, fr, int, lcr_h};
use crate::bus::{Device, Refused};
use crate::irq::fake::FakeLine;
use wire::FakeWire;

const DR: u64 = 0x000;
const RSR: u64 = 0x004;
const FR: u64 = 0x018;
const ILPR: u64 = 0x020;
const IBRD: u64 = 0x024;
const FBRD: u64 = 0x028;
const LCR_H: u64 = 0x02c;
const CR: u64 = 0x030;
const IFLS: u64 = 0x034;
const IMSC: u64 = 0x038;
const RIS: u64 = 0x03c;
const MIS: u64 = 0x040;
const ICR: u64 = 0x044;
const DMACR: u64 = 0x048;

const ENABLED: u32 = cr::UARTEN | cr::TXE | cr::RXE;

/// A UART with a fake on either side, driven by the offsets and words of a guest.
struct Rig {
    uart: Pl011,
    irq: FakeLine,
    wire: FakeWire,
}

impl Rig {
    /// As after reset.
    fn new() -> Self {
        let (irq, wire) = (FakeLine::default(), FakeWire::default());
        let uart = Pl011::new(Box::new(irq.clone()), Box::new(wire.clone()));
        Self { uart, irq, wire }
    }

    /// Enabled, FIFOs on, receive interrupts unmasked.
    fn listening() -> Self {
        let mut rig = Self::in_character_mode();
        rig.write(LCR_H, lcr_h::FEN);
        rig
    }

    /// Enabled, FIFOs off, receive interrupts unmasked.
    fn in_character_mode() -> Self {
        let mut rig = Self::new();
        rig.write(CR, ENABLED);
        rig.write(IMSC, int::RX | int::RT);
        rig
    }

    fn read(&mut self, offset: u64) -> u32 {
        let mut data = [0; 4];
        self.uart.read(offset, &mut data).unwrap();
        u32::from_le_bytes(data)
    }

    fn write(&mut self, offset: u64, value: u32) {
        self.uart.write(offset, &value.to_le_bytes()).unwrap();
    }

    fn send(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write(DR, u32::from(*byte));
        }
    }

    /// What the guest reads until the FIFO is empty.
    fn drain(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        while self.read(FR) & fr::RXFE == 0 {
            bytes.push(self.read(DR) as u8);
        }
        bytes
    }
}
