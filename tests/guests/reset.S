// Asks for a reset.
#include "machine.h"

_start: say     "resetting\n"
        psci    PSCI_SYSTEM_RESET
