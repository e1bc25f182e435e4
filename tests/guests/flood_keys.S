// Prints lines for ever, and behind each one looks for a key, as a guest does that has no interrupts. Says which key it was, and powers off.
        .equ    LINES, 0xffffffff
        .macro  BETWEEN
        mov     x26, #4
3:      ldr     w0, [x20, #UARTFR]
        tbz     w0, #UARTFR_RXFE, key
        subs    x26, x26, #1
        b.ne    3b
        .endm
        .macro  END
key:    ldrb    w21, [x20]
        say     "key "
        mov     x0, x21
        bl      puthex
        psci    PSCI_SYSTEM_OFF
        .endm
#include "flood.inc"
