// Finds the end of RAM in its device tree, writes to each of the last sixteen blocks of 2 MiB and to the last word, prints what it then reads
// there, the word's own address, waits for a byte from the console and powers off.
#include "machine.h"

        .equ    RAM, 0x40000000
        .equ    BLOCK, 2 << 20

        // The node `memory` has RAM's address and size as big-endian cells, two each.
_start: mov     w3, #RAM
1:      ldr     w1, [x0]
        ldr     w2, [x0, #4]!
        rev     w2, w2
        cmp     w2, w3
        ccmp    w1, #0, #0, eq
        b.ne    1b
        ldp     w4, w5, [x0, #4]
        rev     w4, w4
        rev     w5, w5
        orr     x4, x5, x4, lsl #32
        add     x19, x3, x4

        mov     x1, #16 * BLOCK
        sub     x0, x19, x1
2:      str     x0, [x0]
        add     x0, x0, #BLOCK
        cmp     x0, x19
        b.lo    2b
        sub     x0, x19, #8
        str     x0, [x0]
        ldr     x0, [x0]
        bl      puthex
        say     "\n"

        ldr     x20, =UART
wait:   ldr     w0, [x20, #UARTFR]
        tbnz    w0, #UARTFR_RXFE, wait
        psci    PSCI_SYSTEM_OFF
