// FEAT_BTI: indirect branches to guarded memory that land on each kind of landing pad, and on none. A debugger's breakpoint on any of
// these must change nothing. At EL1 only: whether memory is guarded is a matter of its descriptor alone.
#define WITH_MMU

.macro prepare
    mrs     x26, id_aa64pfr1_el1
    ubfx    x26, x26, #0, #4        // BT
    mrs     x0, id_aa64isar1_el1
    tst     x0, #0xff0              // APA, API: with address authentication, PACIASP is a landing pad
    b.eq    1f
    mrs     x0, sctlr_el1
    orr     x0, x0, #1 << 31        // EnIA
    msr     sctlr_el1, x0
1:
.endm

.equ GUARDED, 0x80000000            // from EL1's addresses to the guarded ones

.macro row level
    .ifnc   \level, el0
    cbz     x26, .Lnone_\level
    ldr     x1, =pad_c_\level + GUARDED
    blr     x1                      // BTYPE 2
    ldr     x1, =pad_j_\level + GUARDED
    adr     x30, 1f
    br      x1                      // BTYPE 1, from memory that is not guarded
1:  ldr     x1, =pad_jc_\level + GUARDED
    blr     x1
    ldr     x1, =pad_pac_\level + GUARDED
    blr     x1
    ldr     x1, =no_pad_\level + GUARDED
    blr     x1                      // a branch target exception
    b       .Lnone_\level
pad_c_\level:
    bti     c
    record  x1
    ret
pad_j_\level:
    bti     j
    record  x1
    ret
pad_jc_\level:
    bti     jc
    record  x1
    ret
pad_pac_\level:
    paciasp
    record  x1
    autiasp
    ret
no_pad_\level:
    nop
    record  x1
    ret
.Lnone_\level:
    .endif
.endm

#include "step.inc"
