// Waits for an interrupt that never comes.
#include "machine.h"

_start: say     "waiting\n"
1:      wfi
        b       1b
