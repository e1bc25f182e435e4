// Instructions that do not exist: UDF; HLT, without an external debugger; and, at EL0, ERET.
.macro prepare
.endm

.macro row level
    udf     #1
    hlt     #2
    .ifc    \level, el0
    eret
    .endif
.endm

#include "step.inc"
