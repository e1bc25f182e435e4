// Prints 40 lines, says that its kernel panics, and resets the machine at once.
        .equ    LINES, 40
        .macro  BETWEEN
        .endm
        .macro  END
        say     "Kernel panic - not syncing: of a flood\n"
        psci    PSCI_SYSTEM_RESET
        .endm
#include "flood.inc"
