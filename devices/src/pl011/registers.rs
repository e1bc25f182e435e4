//! The PL011's registers as its manual has them: ARM DDI 0183G, chapter 3. Section numbers in parentheses.

/// A register, by offset from the UART's base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Register {
    /// UARTDR at 0x000, data. RW; read 12 bits, written 8 (3.3.1).
    Dr,
    /// UARTRSR and UARTECR at 0x004, receive status and error clear. RW; read 4 bits, any write clears (3.3.2).
    RsrEcr,
    /// UARTFR at 0x018, flags. RO, 9 bits (3.3.3).
    Fr,
    /// UARTILPR at 0x020, IrDA low-power counter. RW, 8 bits (3.3.4).
    Ilpr,
    /// UARTIBRD at 0x024, integer baud rate divisor. RW, 16 bits (3.3.5).
    Ibrd,
    /// UARTFBRD at 0x028, fractional baud rate divisor in 64ths. RW, 6 bits (3.3.6).
    Fbrd,
    /// UARTLCR_H at 0x02c, line control. RW, 8 bits (3.3.7).
    LcrH,
    /// UARTCR at 0x030, control. RW, 16 bits (3.3.8).
    Cr,
    /// UARTIFLS at 0x034, FIFO levels that interrupt. RW, 6 bits (3.3.9).
    Ifls,
    /// UARTIMSC at 0x038, interrupt mask. RW, 11 bits (3.3.10).
    Imsc,
    /// UARTRIS at 0x03c, raw interrupt status. RO, 11 bits (3.3.11).
    Ris,
    /// UARTMIS at 0x040, masked interrupt status. RO, 11 bits (3.3.12).
    Mis,
    /// UARTICR at 0x044, interrupt clear. WO, 11 bits (3.3.13).
    Icr,
    /// UARTDMACR at 0x048, DMA control. RW, 3 bits (3.3.14).
    Dmacr,
    /// UARTPeriphID0 to 3 and UARTPCellID0 to 3 from 0xfe0, by value. RO, 8 bits (3.3.15, 3.3.16).
    Id(u8),
}

impl Register {
    /// The register at `offset`. `None` between registers, where the manual reserves the offset (3.2), and
    /// for the integration test registers (chapter 4).
    pub const fn at(offset: u64) -> Option<Self> {
        Some(match offset {
            0x000 => Self::Dr,
            0x004 => Self::RsrEcr,
            0x018 => Self::Fr,
            0x020 => Self::Ilpr,
            0x024 => Self::Ibrd,
            0x028 => Self::Fbrd,
            0x02c => Self::LcrH,
            0x030 => Self::Cr,
            0x034 => Self::Ifls,
            0x038 => Self::Imsc,
            0x03c => Self::Ris,
            0x040 => Self::Mis,
            0x044 => Self::Icr,
            0x048 => Self::Dmacr,
            // Part 0x011, designer 0x41 (Arm), revision 3, configuration 0 (3.3.15). Revision 3 is r1p5,
            // the first with 32-deep FIFOs; drivers derive the depth from it.
            0xfe0 => Self::Id(0x11),
            0xfe4 => Self::Id(0x10),
            0xfe8 => Self::Id(0x34),
            0xfec => Self::Id(0x00),
            // 0xb105f00d, as every PrimeCell (3.3.16).
            0xff0 => Self::Id(0x0d),
            0xff4 => Self::Id(0xf0),
            0xff8 => Self::Id(0x05),
            0xffc => Self::Id(0xb1),
            _ => return None,
        })
    }

    /// The bits that a write reaches; the others are reserved or read-only.
    pub const fn writable(self) -> u32 {
        match self {
            Self::Dr | Self::RsrEcr | Self::Ilpr | Self::LcrH => 0xff,
            Self::Ibrd => 0xffff,
            Self::Fbrd | Self::Ifls => 0x3f,
            // Bits 6:3 are reserved.
            Self::Cr => 0xff87,
            Self::Imsc | Self::Icr => 0x7ff,
            Self::Dmacr => 0x7,
            Self::Fr | Self::Ris | Self::Mis | Self::Id(_) => 0,
        }
    }
}

/// Characters that each FIFO holds; 1 in character mode (2.4.3, r1p5).
pub const FIFO_DEPTH: usize = 32;

/// UARTFR (3.3.3).
pub mod fr {
    /// Clear to send: nUARTCTS is low.
    pub const CTS: u32 = 1 << 0;
    /// Data set ready: nUARTDSR is low.
    pub const DSR: u32 = 1 << 1;
    /// Data carrier detect: nUARTDCD is low.
    pub const DCD: u32 = 1 << 2;
    /// Transmitting, or the transmit FIFO is not empty, whether or not the UART is enabled.
    pub const BUSY: u32 = 1 << 3;
    /// Receive FIFO empty.
    pub const RXFE: u32 = 1 << 4;
    /// Transmit FIFO full.
    pub const TXFF: u32 = 1 << 5;
    /// Receive FIFO full.
    pub const RXFF: u32 = 1 << 6;
    /// Transmit FIFO empty.
    pub const TXFE: u32 = 1 << 7;
    /// Ring indicator: nUARTRI is low.
    pub const RI: u32 = 1 << 8;
}

/// UARTLCR_H (3.3.7). Resets to 0.
pub mod lcr_h {
    /// Send break.
    pub const BRK: u32 = 1 << 0;
    /// Parity enable.
    pub const PEN: u32 = 1 << 1;
    /// Even parity select.
    pub const EPS: u32 = 1 << 2;
    /// Two stop bits select.
    pub const STP2: u32 = 1 << 3;
    /// Enable FIFOs; else character mode.
    pub const FEN: u32 = 1 << 4;
    /// Word length: five bits and as many as this field says.
    pub const WLEN: u32 = 0b11 << 5;
    /// Stick parity select.
    pub const SPS: u32 = 1 << 7;
}

/// UARTCR (3.3.8).
pub mod cr {
    /// UART enable.
    pub const UARTEN: u32 = 1 << 0;
    /// IrDA enable.
    pub const SIREN: u32 = 1 << 1;
    /// IrDA low-power mode.
    pub const SIRLP: u32 = 1 << 2;
    /// Loopback enable.
    pub const LBE: u32 = 1 << 7;
    /// Transmit enable.
    pub const TXE: u32 = 1 << 8;
    /// Receive enable.
    pub const RXE: u32 = 1 << 9;
    /// Data transmit ready.
    pub const DTR: u32 = 1 << 10;
    /// Request to send.
    pub const RTS: u32 = 1 << 11;
    /// nUARTOut1, for a DTE to be used as DCD.
    pub const OUT1: u32 = 1 << 12;
    /// nUARTOut2, for a DTE to be used as RI.
    pub const OUT2: u32 = 1 << 13;
    /// RTS hardware flow control.
    pub const RTSEN: u32 = 1 << 14;
    /// CTS hardware flow control.
    pub const CTSEN: u32 = 1 << 15;
    /// Value after reset.
    pub const RESET: u32 = TXE | RXE;
}

/// UARTIFLS (3.3.9).
pub mod ifls {
    /// Value after reset: both half full.
    pub const RESET: u32 = 0x12;

    /// Characters in the transmit FIFO at or below which it interrupts: TXIFLSEL, bits 2:0.
    pub const fn transmit_level(ifls: u32) -> usize {
        level(ifls & 0b111)
    }

    /// Characters in the receive FIFO at or above which it interrupts: RXIFLSEL, bits 5:3.
    pub const fn receive_level(ifls: u32) -> usize {
        level(ifls >> 3 & 0b111)
    }

    const fn level(select: u32) -> usize {
        let eighths = match select {
            0b000 => 1,
            0b001 => 2,
            0b010 => 4,
            0b011 => 6,
            // 0b101 to 0b111 are reserved; taken as the highest level.
            _ => 7,
        };
        super::FIFO_DEPTH * eighths / 8
    }
}

/// Interrupts, one bit each: UARTIMSC, UARTRIS, UARTMIS, UARTICR (3.3.10 to 3.3.13, 3.4).
pub mod int {
    /// nUARTRI changed.
    pub const RI: u32 = 1 << 0;
    /// nUARTCTS changed.
    pub const CTS: u32 = 1 << 1;
    /// nUARTDCD changed.
    pub const DCD: u32 = 1 << 2;
    /// nUARTDSR changed.
    pub const DSR: u32 = 1 << 3;
    /// Receive FIFO at its level.
    pub const RX: u32 = 1 << 4;
    /// Transmit FIFO at its level.
    pub const TX: u32 = 1 << 5;
    /// Receive timeout.
    pub const RT: u32 = 1 << 6;
    /// Framing error.
    pub const FE: u32 = 1 << 7;
    /// Parity error.
    pub const PE: u32 = 1 << 8;
    /// Break error.
    pub const BE: u32 = 1 << 9;
    /// Overrun error.
    pub const OE: u32 = 1 << 10;
}
