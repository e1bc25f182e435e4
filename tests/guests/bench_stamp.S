// Prints what the physical counter was at its first instruction. KVM gives a guest the host's own (no offset unless the VMM asks for one).
#include "machine.h"

_start: mrs     x0, cntpct_el0
        bl      puthex
        psci    PSCI_SYSTEM_OFF
