// A pointer whose signature is wrong: with FEAT_FPAC AUTIA itself faults, without it the branch to what AUTIA made of it does. And
// one whose signature is right.
.macro prepare
    // x26: whether there is address authentication, in any of its three fields
    mrs     x0, id_aa64isar1_el1
    ubfx    x26, x0, #4, #8         // APA, API
    mrs     x0, S3_0_C0_C6_2        // ID_AA64ISAR2_EL1
    and     x0, x0, #0xf000         // APA3
    orr     x26, x26, x0
    cbz     x26, 1f
    ldr     x0, =0x0123456789abcdef
    msr     apiakeylo_el1, x0
    msr     apiakeyhi_el1, x0
    mrs     x0, sctlr_el1
    orr     x0, x0, #1 << 31        // EnIA
    msr     sctlr_el1, x0
1:
.endm

.macro row level
    cbz     x26, 2f
    adr     x1, 1f
    pacia   x1, x28
    autia   x1, x28
    br      x1
1:  record  x1
    ldr     x1, =0x5555000040080000
    autiza  x1
    blr     x1
2:
.endm

#include "step.inc"
