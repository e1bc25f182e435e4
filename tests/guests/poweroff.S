// Powers off.
#include "machine.h"

_start: say     "powering off\n"
        psci    PSCI_SYSTEM_OFF
