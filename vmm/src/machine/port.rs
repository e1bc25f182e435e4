//! The guest's serial port: the PL011, and the window through which the guest reaches it without exits while it
//! prints a lot.
//!
//! Through the window the guest reads copies of the registers, and what it writes to UARTDR waits in the kernel. So it is
//! open only while the UART is steady ([`Pl011::is_steady`]), and the UART catches up before anything else happens to
//! it: before each access that still exits, once a tick ([`Port::tick`]), and when a vCPU stops.

use std::sync::{Mutex, PoisonError, Weak};
use std::time::Instant;

use devices::bus::{Device, Refused};
use devices::pl011::Pl011;

use super::console::Line;
use crate::burst::Burst;
use crate::kvm::window::Window;

/// UARTDR, the register whose writes the window takes.
const DATA: u64 = 0;

/// A PL011 with its window.
pub struct Port {
    uart: Pl011,
    /// Gone with the vCPUs; never there where KVM has none.
    window: Weak<Mutex<Window>>,
    line: Line,
    burst: Burst,
    /// Taken from the window; empty but for its memory.
    posted: Vec<u8>,
}

impl Port {
    /// A port whose window is closed. During a burst `line` calls [`Self::tick`].
    pub fn new(uart: Pl011, window: Weak<Mutex<Window>>, line: Line) -> Self {
        Self { uart, window, line, burst: Burst::default(), posted: Vec::new() }
    }

    /// As [`Pl011::receive`].
    pub fn receive(&mut self, bytes: &[u8]) -> usize {
        self.catch_up();
        // Also where there is no room yet: whether the guest looks for input is seen outside of a burst only, and ticks
        // wait for a reader that is slow.
        if !bytes.is_empty() {
            self.end_burst();
        }
        self.uart.receive(bytes)
    }

    /// As [`Pl011::transmit_ready`].
    pub fn transmit_ready(&mut self) {
        self.uart.transmit_ready();
    }

    /// A tick of a burst has passed.
    pub fn tick(&mut self) {
        self.catch_up();
        if self.burst.is_over() {
            self.end_burst();
        }
    }

    fn begin_burst(&mut self) {
        self.with_window(|port, window| {
            port.show(window);
            match window.open() {
                Ok(()) => {
                    port.burst.begin();
                    port.line.set_burst(true);
                }
                // Slower, and nothing else.
                Err(_) => port.window = Weak::new(),
            }
        });
    }

    fn end_burst(&mut self) {
        if !self.burst.is_on() {
            return;
        }
        self.line.set_burst(false);
        self.with_window(|port, window| {
            window.close();
            port.take_posted(window);
        });
        self.burst.end();
    }

    fn with_window(&mut self, act: impl FnOnce(&mut Self, &mut Window)) {
        if let Some(window) = self.window.upgrade() {
            act(self, &mut window.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }

    fn take_posted(&mut self, window: &mut Window) {
        window.take(&mut self.posted);
        if !self.posted.is_empty() {
            self.burst.note(self.posted.len());
            self.uart.send_posted(&self.posted);
            self.posted.clear();
        }
    }

    fn show(&self, window: &mut Window) {
        for (offset, value) in self.uart.registers() {
            window.show(offset as usize, value);
        }
    }

    /// Any register may have changed.
    fn keep_up(&mut self) {
        if !self.uart.is_steady() {
            self.end_burst();
        } else if self.burst.is_on() {
            self.with_window(|port, window| port.show(window));
        }
    }
}

impl Device for Port {
    fn read(&mut self, offset: u64, data: &mut [u8]) -> Result<(), Refused> {
        self.catch_up();
        let outcome = self.uart.read(offset, data);
        self.keep_up();
        outcome
    }

    fn write(&mut self, offset: u64, data: &[u8]) -> Result<(), Refused> {
        self.catch_up();
        let outcome = self.uart.write(offset, data);
        if self.burst.is_on() {
            self.keep_up();
        } else if offset == DATA
            && let Some(character) = data.first()
            && self.burst.is_due(Instant::now(), *character)
            && self.uart.is_steady()
        {
            self.begin_burst();
        }
        outcome
    }

    fn catch_up(&mut self) {
        if self.burst.is_on() {
            self.with_window(Self::take_posted);
            if !self.uart.is_steady() {
                self.end_burst();
            }
        }
    }
}
