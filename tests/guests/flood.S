// Prints 300 KiB without a look at the UART.
        .macro  ROOM
        .endm
#include "flood.inc"
