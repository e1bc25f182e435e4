// Prints 40 lines, turns the UART around, sends a byte to itself, turns the UART back, and prints the flags before and after it read
// the byte, and the byte.
        .equ    LINES, 40
        .equ    UARTCR, 0x30            // PL011 TRM 3.3.8
        .equ    LBE, 1 << 7
        .macro  BETWEEN
        .endm
        .macro  END
        ldr     w21, [x20, #UARTCR]
        orr     w0, w21, #LBE
        str     w0, [x20, #UARTCR]
        mov     w0, #'x'
        strb    w0, [x20]
        ldr     w22, [x20, #UARTFR]
        ldr     w24, [x20]
        ldr     w25, [x20, #UARTFR]
        str     w21, [x20, #UARTCR]
        mov     x0, x22
        bl      puthex
        mov     x0, x24
        bl      puthex
        mov     x0, x25
        bl      puthex
        psci    PSCI_SYSTEM_OFF
        .endm
#include "flood.inc"
