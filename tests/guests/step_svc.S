// SVC: SPSR has the guest's own DAIF and ELR the next instruction.
.macro prepare
.endm

.macro row level
    svc     #7
    mov     x1, #1                  // so that the exception is not the last thing seen
    record  x1
    svc     #8
.endm

#include "step.inc"
