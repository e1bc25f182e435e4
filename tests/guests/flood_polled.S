// Prints 300 KiB, and waits for room before each byte, as Linux's driver and its earlycon do.
        .macro  ROOM
9:      ldr     w0, [x20, #UARTFR]
        tbnz    w0, #UARTFR_TXFF, 9b
        .endm
#include "flood.inc"
