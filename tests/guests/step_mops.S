// FEAT_MOPS: copies and sets whose three instructions do any part of the work each, and may go back to the first.
#define WITH_MMU

.macro prepare
    mrs     x26, S3_0_C0_C6_2       // ID_AA64ISAR2_EL1
    ubfx    x26, x26, #16, #4       // MOPS
    mrs     x0, sctlr_el1
    orr     x0, x0, #1 << 33        // MSCEn: at EL0 too; reserved without FEAT_MOPS
    cmp     x26, #0
    b.eq    1f
    msr     sctlr_el1, x0
1:
.endm

// x1 = sum of the `count` words at x0.
.macro sum count
    mov     x1, #0
    mov     x2, #\count
1:  ldr     x3, [x0], #8
    ror     x1, x1, #1
    add     x1, x1, x3
    subs    x2, x2, #1
    b.ne    1b
.endm

.macro row level
    cbz     x26, .Lnone_\level
    adr     x0, target
    mov     x1, #0x5a
    mov     x2, #61
set_\level:
    .inst   0x19c10440              // setp [x0]!, x2!, x1
    .inst   0x19c14440              // setm [x0]!, x2!, x1
    .inst   0x19c18440              // sete [x0]!, x2!, x1
    record  x0
    record  x2
    mrs     x3, nzcv
    record  x3
    // Forwards, across a page, then backwards over itself.
    adr     x0, target
    adr     x1, source
    mov     x2, #67
copy_\level:
    .inst   0x1d010440              // cpyp [x0]!, [x1]!, x2!
    .inst   0x1d410440              // cpym [x0]!, [x1]!, x2!
    .inst   0x1d810440              // cpye [x0]!, [x1]!, x2!
    record  x0
    record  x1
    record  x2
    adr     x0, target + 9
    adr     x1, target
    mov     x2, #50
    .inst   0x1d010440
    .inst   0x1d410440
    .inst   0x1d810440
    record  x0
    record  x1
    record  x2
    adr     x0, target
    sum     10
    record  x1
.Lnone_\level:
.endm

#include "step.inc"

    .balign 4096
    .space  4096 - 32
source:
    .rept   80
    .byte   (. - source) * 37 & 0xff
    .endr
    .balign 16
target:
    .space  128
