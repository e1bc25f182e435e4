// Reads and writes where nothing is, twice each.
#include "machine.h"

_start: ldr     x20, =NOWHERE
        ldr     w0, [x20]
        bl      puthex
        say     "\n"
        ldrb    w0, [x20, #4]
        bl      puthex
        say     "\n"
        str     w0, [x20]
        str     w0, [x20, #8]
        psci    PSCI_SYSTEM_OFF
