// As bench_write, but like Linux's driver (drivers/tty/serial/amba-pl011.c, pl011_console_putchar): looks at UARTFR before each byte.
#include "machine.h"

_start: bl      writing
1:      ldrh    w3, [x2, #UARTFR]
        tbnz    w3, #5, 1b              // TXFF
        strh    w1, [x2]
        bl      next
        b.ne    1b
        psci    PSCI_SYSTEM_OFF

#include "bench_lines.inc"
