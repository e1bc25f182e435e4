// Prints 96 KiB and powers off.
        .equ    LINES, 1536
        .macro  BETWEEN
        .endm
        .macro  END
        psci    PSCI_SYSTEM_OFF
        .endm
#include "flood.inc"
