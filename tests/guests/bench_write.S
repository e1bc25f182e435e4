// Writes lines of 64 bytes to the UART as fast as it can, `count` bytes in all, then powers off. Who starts it sets `count`.
#include "machine.h"

_start: bl      writing
1:      strb    w1, [x2]
        bl      next
        b.ne    1b
        psci    PSCI_SYSTEM_OFF

#include "bench_lines.inc"
