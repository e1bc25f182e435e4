// Prints 72 KiB and powers off.
        .equ    LINES, 1152
        .macro  BETWEEN
        .endm
        .macro  END
        psci    PSCI_SYSTEM_OFF
        .endm
#include "flood.inc"
