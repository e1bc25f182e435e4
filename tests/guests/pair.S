// Loads a pair of registers where nothing is, for which the CPU gives no syndrome to emulate it by.
#include "machine.h"

_start: say     "loading a pair\n"
        ldr     x19, =0x1122334455667788
        ldr     x20, =NOWHERE
        .globl  pair
pair:   ldp     x0, x1, [x20]
        psci    PSCI_SYSTEM_OFF
