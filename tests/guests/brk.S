// Takes BRK from EL1 with either stack pointer and from EL0, and BKPT from EL0 in AArch32 if there is that, each with another PSTATE;
// prints all that the handler can see of it.
    .globl  _start

// PSTATE as in SPSR (Arm ARM C5.2.19). Bits of features that the CPU lacks are ignored by ERET.
.equ EL0, 0x00
.equ EL1T, 0x04
.equ EL1H, 0x05
.equ A32, 0x10
.equ T32, 0x30
.equ F, 1 << 6
.equ I, 1 << 7
.equ A, 1 << 8
.equ D, 1 << 9
.equ BTYPE1, 1 << 10
.equ BTYPE2, 2 << 10
.equ BTYPE3, 3 << 10
.equ SSBS, 1 << 12
.equ ALLINT, 1 << 13
.equ PAN, 1 << 22
.equ UAO, 1 << 23
.equ DIT, 1 << 24
.equ TCO, 1 << 25
.equ V, 1 << 28
.equ C, 1 << 29
.equ Z, 1 << 30
.equ N, 1 << 31
// In AArch32 the places of GE and Q hold no other feature's bits, and SSBS is elsewhere (Arm ARM C5.2.19).
.equ GE, 0xa << 16
.equ SSBS32, 1 << 23
.equ Q, 1 << 27

// SCTLR_EL1: what an exception does to PAN and SSBS.
.equ SPAN, 1 << 23
.equ DSSBS, 1 << 44

_start:
    adr     x0, vectors
    msr     vbar_el1, x0
    ldr     x0, =0x5a5a5a5a
    msr     far_el1, x0             // BRK leaves it alone
    adr     x27, cases
    adr     x28, records
    // x26 = bits of SCTLR that this CPU has.
    mov     x26, #0
    bl      has_pan
    cbz     x0, 0f
    orr     x26, x26, #SPAN
0:  bl      has_ssbs
    cbz     x0, next
    orr     x26, x26, #DSSBS

// From here for each case: PSTATE, where to, SCTLR's bits.
next:
    ldp     x0, x1, [x27], #16
    ldr     x2, [x27], #8
    cbz     x1, print
    // AArch32 at EL0: ID_AA64PFR0_EL1.EL0.
    mrs     x3, id_aa64pfr0_el1
    and     x3, x3, #15
    cmp     x3, #2
    b.hs    0f
    tbnz    x0, #4, next
0:  mrs     x3, sctlr_el1
    bic     x3, x3, x26
    and     x2, x2, x26
    orr     x3, x3, x2
    msr     sctlr_el1, x3
    isb
    msr     spsr_el1, x0
    msr     elr_el1, x1
leave:
    eret

before_bug:
    nop
bug:
    brk     #0x800                  // what Linux uses for BUG and WARN
planted:
    brk     #0                      // what a debugger plants
before_largest:
    nop
largest:
    brk     #0xffff
before_user:
    nop
user:
    brk     #0x123
before_bkpt_a32:
    .inst   0xe320f000              // nop
bkpt_a32:
    .inst   0xe1212374              // bkpt #0x1234
bkpt_t32:
    .inst   0xbf00be56              // bkpt #0x56, nop

.macro vector number
    .balign 0x80
    // Flags first, before anything changes them.
    mrs     x5, nzcv
    mov     x2, #\number
    b       synchronous
.endm

// ORs a bit of PSTATE, which stands where it does in SPSR, into x6 if the CPU has it: the field of 4 bits at \at in an ID
// register tells, by being \least or more.
.macro pstate_bit register, id, at, least=1
    mrs     x0, \id
    ubfx    x0, x0, #\at, #4
    cmp     x0, #\least
    b.lo    0f
    mrs     x0, \register
    orr     x6, x6, x0
0:
.endm

synchronous:
    mrs     x6, daif
    mrs     x0, CurrentEL
    orr     x6, x6, x0
    mrs     x0, spsel
    orr     x6, x6, x0
    pstate_bit S3_0_C4_C2_3, id_aa64mmfr1_el1, 20       // PAN
    pstate_bit S3_0_C4_C2_4, id_aa64mmfr2_el1, 4        // UAO
    pstate_bit S3_3_C4_C2_5, id_aa64pfr0_el1, 48        // DIT
    pstate_bit S3_3_C4_C2_6, id_aa64pfr1_el1, 4, 2      // SSBS
    pstate_bit S3_3_C4_C2_7, id_aa64pfr1_el1, 8, 2      // TCO
    pstate_bit S3_0_C4_C3_0, id_aa64pfr1_el1, 36        // ALLINT
    stp     x6, x2, [x28], #16
    mrs     x1, elr_el1
    mrs     x2, spsr_el1
    stp     x1, x2, [x28], #16
    mrs     x3, esr_el1
    mrs     x4, far_el1
    stp     x3, x4, [x28], #16
    str     x5, [x28], #8
    b       next

has_pan:
    mrs     x0, id_aa64mmfr1_el1
    ubfx    x0, x0, #20, #4
    ret

has_ssbs:
    mrs     x0, id_aa64pfr1_el1
    ubfx    x0, x0, #4, #4
    ret

print:
    adr     x19, records
    mov     x20, x28
    bl      put_words
    b       power_off

    .balign 8
cases:
    .quad   EL1H + N + C, before_bug, SPAN
    .quad   EL1H + Z + V + I, planted, SPAN
    .quad   EL1T, before_largest, SPAN
    .quad   EL0 + A, before_user, SPAN
    .quad   EL1H + PAN, before_bug, SPAN
    .quad   EL1H, before_bug, 0
    .quad   EL0, before_user, 0
    .quad   EL1H + UAO, before_bug, SPAN
    .quad   EL1H + DIT, before_bug, SPAN
    .quad   EL1H + SSBS, before_bug, SPAN
    .quad   EL0, before_user, SPAN + DSSBS
    .quad   EL1H + TCO + ALLINT, before_bug, SPAN
    .quad   EL1H + BTYPE1, bug, SPAN
    .quad   EL1T + BTYPE2, largest, SPAN
    .quad   EL0 + BTYPE3, user, SPAN
    .quad   EL1T + N + Z + C + V + D + A + I + F + PAN + UAO + DIT + SSBS + BTYPE3, largest, DSSBS
    .quad   EL0 + N + V + DIT + SSBS, user, 0
    .quad   A32 + C + Q + A, before_bkpt_a32, SPAN
    .quad   A32 + N + GE + PAN + DIT + SSBS32, bkpt_a32, 0
    .quad   T32 + Z + V, bkpt_t32, SPAN + DSSBS
    .quad   0, 0, 0

records:
    .space  2048

    .balign 2048
vectors:
    vector  0x000
    .balign 0x200
    vector  0x200
    .balign 0x200
    vector  0x400
    .balign 0x200
    vector  0x600
    .balign 2048

#include "guest.inc"
