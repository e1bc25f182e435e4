// Prints 40 lines, then a prompt without a line feed, and sleeps for ever, in the kernel of its host.
        .equ    LINES, 40
        .macro  BETWEEN
        .endm
        .macro  END
        say     "prompt> "
asleep: wfi
        b       asleep
        .endm
#include "flood.inc"
