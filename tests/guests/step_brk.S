// The guest's own BRK, among them what a debugger would plant.
.macro prepare
.endm

.macro row level
    brk     #0x800
    brk     #0
.endm

#include "step.inc"
