// ERET, ERETAA and ERETAB to other bits of DAIF. (At EL0 they do not exist: see step_undefined.)
.macro prepare
    mrs     x0, id_aa64isar1_el1
    ubfx    x26, x0, #4, #8         // APA, API
    mrs     x0, S3_0_C0_C6_2        // ID_AA64ISAR2_EL1
    and     x0, x0, #0xf000         // APA3
    orr     x26, x26, x0
    cbz     x26, 1f
    ldr     x0, =0x0123456789abcdef
    msr     apiakeylo_el1, x0
    msr     apiakeyhi_el1, x0
    msr     apibkeylo_el1, x0
    msr     apibkeyhi_el1, x0
    mrs     x0, sctlr_el1
    orr     x0, x0, #1 << 31        // EnIA
    orr     x0, x0, #1 << 30        // EnIB
    msr     sctlr_el1, x0
1:
.endm

// Returns to the next instruction with these bits of DAIF. The first of `sign` makes the address what `return` wants.
.macro return_to level, daif, return, sign
    .ifc    \level, el1h
    mov     x0, #\daif | 5
    .else
    mov     x0, #\daif | 4
    .endif
    msr     spsr_el1, x0
    adr     x1, .Lto\@
    mov     x2, sp
    \sign
    msr     elr_el1, x1
    \return
    udf     #0                      // not reached
.Lto\@:
    record_pstate
.endm

.macro row level
    .ifnc   \level, el0
    return_to \level, 0x080, eret
    return_to \level, 0x000, eret
    return_to \level, 0x3c0, eret
    return_to \level, 0x140, eret
    cbz     x26, .Lno_pac_\level
    return_to \level, 0x080, eretaa, "pacia x1, x2"
    return_to \level, 0x040, eretab, "pacib x1, x2"
.Lno_pac_\level:
    .endif
.endm

#include "step.inc"
