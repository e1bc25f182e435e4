//! PL011 UART, revision r1p5 (ARM DDI 0183G, cited as TRM).
//!
//! Emulated: both 32-deep FIFOs and character mode, FIFO trigger levels, the receive, receive timeout,
//! transmit and modem status interrupts, masking and clearing, loopback of data and modem lines, and the
//! identification by which drivers tell the FIFO depth.
//!
//! There is no time on this line, which shows in three places:
//! - A byte leaves in the moment it is written, unless the host is busy. Then it waits in the transmit
//!   FIFO, and the guest sees BUSY and TXFF as on hardware.
//! - The receive timeout (TRM 3.4.4) has passed as soon as data sits in the receive FIFO.
//! - The transmit interrupt (TRM 3.4.3) is raised by each byte that leaves at or below the trigger level,
//!   since the level was passed upwards and downwards within one access.
//!
//! Input is never dropped. The host holds back what has no room, so an overrun cannot happen; nor do other
//! receive errors. What is let in, and when, is in [`Pl011::receive_room`].
//!
//! Where hardware loses data, this UART keeps it:
//! - Changing LCR_H.FEN flushes nothing. A FIFO that holds more than its new depth is full until drained.
//! - In loopback, bytes wait in the transmit FIFO for room in the receive FIFO.
//!
//! A byte written to a full transmit FIFO is lost, as on hardware, and the bus reports it.
//!
//! Not emulated: BREAK (LCR_H.BRK is held, nothing is sent), baud rate, word length and parity (a character
//! is always eight bits), hardware flow control (CTSEN and RTSEN are held), DMA (DMACR is held), IrDA, the
//! integration test registers at 0x80 to 0x8c (TRM chapter 4: refused), and the separate interrupt outputs:
//! only the combined UARTINTR is wired. The modem inputs are those of a ready terminal: CTS, DSR and DCD
//! asserted.

pub mod registers;
#[cfg(test)]
mod tests;
mod uart;

pub use uart::Pl011;
