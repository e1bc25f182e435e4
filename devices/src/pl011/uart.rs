//! What the PL011 does.

mod posted;

use std::collections::VecDeque;

use super::registers::{FIFO_DEPTH, Register, cr, fr, ifls, int, lcr_h};
use crate::bus::{Device, Refused};
use crate::irq::IrqLine;
use crate::wire::Wire;

/// A PL011 UART between a guest and a [`Wire`].
pub struct Pl011 {
    // What it is connected to.
    irq: Box<dyn IrqLine>,
    wire: Box<dyn Wire>,

    // What the guest programs.
    ilpr: u32,
    ibrd: u32,
    fbrd: u32,
    lcr_h: u32,
    cr: u32,
    ifls: u32,
    imsc: u32,
    dmacr: u32,

    // State.
    ris: u32,
    received: VecDeque<u8>,
    outgoing: VecDeque<u8>,
    /// The level last driven onto `irq`.
    asserted: bool,
    /// There has been no room since the host was last told that there is.
    held_back: bool,
    /// See [`Pl011::polls`].
    idle_looks: u8,
    /// See [`Pl011::send_posted`]: characters that the transmit FIFO takes beyond its depth.
    allowance: usize,
}

impl Pl011 {
    /// A UART as after reset (TRM table 3-1).
    pub fn new(irq: Box<dyn IrqLine>, wire: Box<dyn Wire>) -> Self {
        Self {
            irq,
            wire,
            ilpr: 0,
            ibrd: 0,
            fbrd: 0,
            lcr_h: 0,
            cr: cr::RESET,
            ifls: ifls::RESET,
            imsc: 0,
            dmacr: 0,
            ris: 0,
            received: VecDeque::with_capacity(FIFO_DEPTH),
            outgoing: VecDeque::with_capacity(FIFO_DEPTH),
            asserted: false,
            held_back: true,
            idle_looks: 0,
            allowance: 0,
        }
    }

    /// Puts bytes from the host into the receive FIFO; returns how many. The host keeps the others until
    /// [`Wire::receive_ready`].
    pub fn receive(&mut self, bytes: &[u8]) -> usize {
        let taken = self.receive_room().min(bytes.len());
        if taken > 0 {
            self.received.extend(bytes.iter().take(taken));
            self.update_receive_interrupts();
            self.drive_irq();
        }
        self.held_back |= self.receive_room() == 0;
        taken
    }

    /// How many bytes [`Pl011::receive`] would take now.
    ///
    /// None in loopback (TRM 3.3.8, LBE), and none before the guest listens: it has enabled the receiver
    /// and unmasked a receive interrupt, or it polls UARTFR. The TRM asks for the enabled receiver only, but
    /// Linux enables it for each line it prints and its driver starts by discarding the FIFO, so what was
    /// typed ahead would be lost.
    pub fn receive_room(&self) -> usize {
        let listens = self.enabled() && self.imsc & (int::RX | int::RT) != 0 || self.polls();
        if listens && !self.loops_back() {
            self.depth().saturating_sub(self.received.len())
        } else {
            0
        }
    }

    /// The host can take bytes again, which empties the transmit FIFO as far as it does.
    pub fn transmit_ready(&mut self) {
        if !self.outgoing.is_empty() {
            self.flush();
            self.drive_irq();
        }
    }

    /// Whether the receiver is on (TRM 3.3.8).
    fn enabled(&self) -> bool {
        self.cr & (cr::UARTEN | cr::RXE) == cr::UARTEN | cr::RXE
    }

    /// Whether the guest waits for input by reading UARTFR over and over.
    ///
    /// Between two characters Linux's earlycon looks twice at an idle UART (BUSY, then TXFF) and its driver
    /// once, so a guest polls which looks more often than that. An enabled receiver needs one look less:
    /// a guest that prints a character between two polls looks twice as well (and so does earlycon behind
    /// a boot loader; it passes for polling). A guest that never enables the UART is served nevertheless,
    /// because QEMU serves it.
    fn polls(&self) -> bool {
        self.idle_looks >= if self.enabled() { 2 } else { 3 }
    }

    fn loops_back(&self) -> bool {
        self.cr & cr::LBE != 0
    }

    fn fifos_enabled(&self) -> bool {
        self.lcr_h & lcr_h::FEN != 0
    }

    fn depth(&self) -> usize {
        if self.fifos_enabled() { FIFO_DEPTH } else { 1 }
    }

    fn read_register(&mut self, register: Register) -> u32 {
        let value = self.value(register);
        match register {
            Register::Dr => self.take_received(),
            Register::Fr => self.note_look(value),
            _ => {}
        }
        value
    }

    fn value(&self, register: Register) -> u32 {
        match register {
            // An empty FIFO reads as 0.
            Register::Dr => self.received.front().copied().unwrap_or(0).into(),
            Register::Fr => self.fifo_flags() | self.modem_inputs(),
            Register::Ilpr => self.ilpr,
            Register::Ibrd => self.ibrd,
            Register::Fbrd => self.fbrd,
            Register::LcrH => self.lcr_h,
            Register::Cr => self.cr,
            Register::Ifls => self.ifls,
            Register::Imsc => self.imsc,
            Register::Ris => self.ris,
            Register::Mis => self.ris & self.imsc,
            Register::Dmacr => self.dmacr,
            Register::Id(byte) => byte.into(),
            // No receive error ever happens; UARTICR is write-only.
            Register::RsrEcr | Register::Icr => 0,
        }
    }

    fn write_register(&mut self, register: Register, value: u32) -> Result<(), Refused> {
        if register == Register::Dr {
            return self.send(value as u8);
        }
        // A guest that sets something up no longer waits for input.
        self.idle_looks = 0;
        match register {
            Register::Ilpr => self.ilpr = value,
            Register::Ibrd => self.ibrd = value,
            Register::Fbrd => self.fbrd = value,
            Register::LcrH => self.set_line_control(value),
            Register::Cr => self.set_control(value),
            Register::Ifls => self.ifls = value,
            Register::Imsc => self.imsc = value,
            Register::Icr => self.ris &= !value,
            Register::Dmacr => self.dmacr = value,
            Register::Dr
            | Register::RsrEcr
            | Register::Fr
            | Register::Ris
            | Register::Mis
            | Register::Id(_) => {}
        }
        Ok(())
    }

    /// The guest has seen these flags of UARTFR (TRM 3.3.3).
    fn note_look(&mut self, flags: u32) {
        self.allowance = 0;
        if flags & (fr::RXFE | fr::BUSY) == fr::RXFE {
            self.idle_looks = self.idle_looks.saturating_add(1);
        }
    }

    fn fifo_flags(&self) -> u32 {
        let flag = |holds, bit| if holds { bit } else { 0 };
        flag(!self.outgoing.is_empty(), fr::BUSY)
            | flag(self.outgoing.is_empty(), fr::TXFE)
            | flag(self.outgoing.len() >= self.depth(), fr::TXFF)
            | flag(self.received.is_empty(), fr::RXFE)
            | flag(self.received.len() >= self.depth(), fr::RXFF)
    }

    /// The modem status inputs, as bits of UARTFR. In loopback they follow the outputs (TRM 2.4.3).
    fn modem_inputs(&self) -> u32 {
        if !self.loops_back() {
            return fr::CTS | fr::DSR | fr::DCD;
        }
        let follow = |output, input| if self.cr & output != 0 { input } else { 0 };
        follow(cr::RTS, fr::CTS)
            | follow(cr::DTR, fr::DSR)
            | follow(cr::OUT1, fr::DCD)
            | follow(cr::OUT2, fr::RI)
    }

    fn set_line_control(&mut self, value: u32) {
        let toggled = self.lcr_h ^ value;
        self.lcr_h = value;
        if toggled & lcr_h::FEN != 0 {
            // The level that counts has changed under what the FIFO holds.
            self.update_receive_interrupts();
        }
    }

    fn set_control(&mut self, value: u32) {
        let modem = self.modem_inputs();
        self.cr = value;
        self.raise_modem_interrupts(modem ^ self.modem_inputs());
        if !self.outgoing.is_empty() {
            // LBE may have turned the line around.
            self.flush();
        }
    }

    /// UARTMSINTR (TRM 3.4.1), for the UARTFR bits that changed.
    fn raise_modem_interrupts(&mut self, changed: u32) {
        for (flag, interrupt) in
            [(fr::RI, int::RI), (fr::CTS, int::CTS), (fr::DCD, int::DCD), (fr::DSR, int::DSR)]
        {
            if changed & flag != 0 {
                self.ris |= interrupt;
            }
        }
    }

    /// A read of UARTDR (TRM 3.3.1).
    fn take_received(&mut self) {
        self.received.pop_front();
        self.update_receive_interrupts();
        if self.loops_back() {
            self.flush();
        }
    }

    /// A write of UARTDR (TRM 3.3.1). Neither UARTEN nor TXE is asked for: Linux's earlycon and many
    /// bare-metal guests never set UARTEN.
    fn send(&mut self, byte: u8) -> Result<(), Refused> {
        if !self.polls() {
            self.idle_looks = 0;
        }
        if self.outgoing.len() >= self.depth() + self.allowance {
            return Err(Refused("transmit FIFO full (UARTFR.TXFF), byte lost"));
        }
        self.outgoing.push_back(byte);
        self.flush();
        Ok(())
    }

    /// Empties the transmit FIFO as far as the other end takes it.
    fn flush(&mut self) {
        let left = if self.loops_back() {
            self.loop_back()
        } else {
            let bytes = self.outgoing.make_contiguous();
            let taken = self.wire.transmit(bytes).min(bytes.len());
            self.outgoing.drain(..taken);
            taken
        };
        // UARTTXINTR (TRM 3.4.3).
        if self.outgoing.len() > self.transmit_level() {
            self.ris &= !int::TX;
        } else if left > 0 {
            self.ris |= int::TX;
        }
    }

    fn loop_back(&mut self) -> usize {
        let room = self.depth().saturating_sub(self.received.len());
        let looped = room.min(self.outgoing.len());
        if looped > 0 {
            self.received.extend(self.outgoing.drain(..looped));
            self.update_receive_interrupts();
        }
        looped
    }

    fn transmit_level(&self) -> usize {
        if self.fifos_enabled() { ifls::transmit_level(self.ifls) } else { 0 }
    }

    fn receive_level(&self) -> usize {
        if self.fifos_enabled() { ifls::receive_level(self.ifls) } else { 1 }
    }

    /// UARTRXINTR and UARTRTINTR (TRM 3.4.2, 3.4.4), after the receive FIFO changed.
    ///
    /// Hardware raises UARTRXINTR when the level is passed upwards. Here a read that leaves the FIFO at or
    /// above its level raises it as well, so a guest that clears first and reads too little is not stuck.
    fn update_receive_interrupts(&mut self) {
        self.ris &= !(int::RX | int::RT);
        if self.received.len() >= self.receive_level() {
            self.ris |= int::RX;
        }
        if !self.received.is_empty() {
            self.ris |= int::RT;
        }
    }

    /// UARTINTR (TRM 3.4.6).
    fn drive_irq(&mut self) {
        let assert = self.ris & self.imsc != 0;
        if assert != self.asserted {
            self.asserted = assert;
            self.irq.set(assert);
        }
    }

    /// Tells a host that was held back when it is worth its while to go on: not before half of the receive FIFO is free, or
    /// all of it where the guest has the timeout interrupt.
    ///
    /// A driver with the timeout interrupt reads until the FIFO is empty: refilled any sooner, it would never
    /// get out of its handler while a long paste lasts. One without it may wait for the trigger level.
    fn invite_host(&mut self) {
        let low = if self.imsc & int::RT != 0 { 0 } else { self.depth() / 2 };
        if self.receive_room() == 0 {
            self.held_back = true;
        } else if self.held_back && self.received.len() <= low {
            self.held_back = false;
            self.wire.receive_ready();
        }
    }
}

impl Device for Pl011 {
    fn read(&mut self, offset: u64, data: &mut [u8]) -> Result<(), Refused> {
        let register = register(offset, data.len())?;
        let value = self.read_register(register);
        for (byte, from) in data.iter_mut().zip(value.to_le_bytes()) {
            *byte = from;
        }
        self.drive_irq();
        self.invite_host();
        Ok(())
    }

    fn write(&mut self, offset: u64, data: &[u8]) -> Result<(), Refused> {
        let register = register(offset, data.len())?;
        let value = data.iter().rfold(0, |value, byte| value << 8 | u32::from(*byte));
        let outcome = self.write_register(register, value & register.writable());
        self.drive_irq();
        self.invite_host();
        outcome
    }
}

/// Narrow accesses reach the low bits of a register, as Linux's driver and earlycon make them: 16 and 8 bits.
fn register(offset: u64, width: usize) -> Result<Register, Refused> {
    if !matches!(width, 1 | 2 | 4) {
        return Err(Refused("registers take accesses of 1, 2 or 4 bytes"));
    }
    Register::at(offset).ok_or(Refused("no register at this offset"))
}
