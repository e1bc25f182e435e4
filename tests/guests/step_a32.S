// A32 at EL0, assembled by hand since the assembler knows A64 only: exceptions, conditions, endianness, exclusives.
#define WITH_MMU

.macro prepare
    mrs     x0, id_aa64pfr0_el1
    and     x26, x0, #0xf           // EL0: 2 is AArch32 too
    mrs     x0, sctlr_el1
    orr     x0, x0, #1 << 1         // A: unaligned accesses fault
    msr     sctlr_el1, x0
.endm

.macro row level
    .ifc    \level, el1h
    cmp     x26, #2
    b.ne    .Lnone
    // r8 points to 64 bytes among the records, r2 and r5 to what the exclusives are about.
    mov     x8, x28
    add     x28, x28, #64
    mov     x0, #0
    ldr     x1, =0x11223344
    ldr     x2, =cell + ALIAS
    mov     x3, #0
    mov     x4, #2
    add     x5, x2, #8
    call_el0 start_el0, 0x50
.Lnone:
    .endif
.endm

#include "step.inc"

    .balign 16
cell:
    .quad   0, 0

    .balign 4
start_el0:
    .word   0xef000007      // svc     #7
    .word   0xe7f000f1      // udf     #1
    .word   0xe5980001      // ldr     r0, [r8, #1]
    .word   0xe1200075      // bkpt    #5
    .word   0xe328f206      // msr     cpsr_f, #0x60000000
    .word   0xe10f0000      // mrs     r0, cpsr
    .word   0xe4880004      // str     r0, [r8], #4
    .word   0xf10c00c0      // cpsid   if
    // Bit 9 of PSTATE, which is D in A64, is E here: data is big-endian between these two.
    .word   0xf1010200      // setend  be
    .word   0xef000008      // svc     #8
    .word   0xe4881004      // str     r1, [r8], #4
    .word   0xf1010000      // setend  le
    .word   0x02811001      // addeq   r1, r1, #1
    .word   0x12811002      // addne   r1, r1, #2
    .word   0x1f000009      // svcne   #9
    .word   0x0f00000a      // svceq   #10
    // An increment, a compare-and-exchange that leaves, and conditional stores: not executed, then executed.
plain_el0:
    .word   0xe1920f9f      // ldrex   r0, [r2]
    .word   0xe2800001      // add     r0, r0, #1
    .word   0xe1823f90      // strex   r3, r0, [r2]
plain_end_el0:
    .word   0xe3530000      // cmp     r3, #0
    .word   0x1afffffa      // bne     plain
    .word   0xe4880004      // str     r0, [r8], #4
left_el0:
    .word   0xe1920e9f      // ldaex   r0, [r2]
    .word   0xe3500005      // cmp     r0, #5
    .word   0x1a000000      // bne     left_out
    .word   0xe1823e94      // stlex   r3, r4, [r2]
left_out_el0:
    .word   0xf57ff01f      // clrex
declined_el0:
    .word   0xe1920f9f      // ldrex   r0, [r2]
    .word   0xe3300005      // teq     r0, #5
    .word   0x01823f94      // strexeq r3, r4, [r2]
declined_end_el0:
    .word   0xe4883004      // str     r3, [r8], #4
stored_el0:
    .word   0xe1920f9f      // ldrex   r0, [r2]
    .word   0xe3300001      // teq     r0, #1
    .word   0x01823f94      // strexeq r3, r4, [r2]
stored_end_el0:
    .word   0xe4883004      // str     r3, [r8], #4
double_el0:
    .word   0xe1b20f9f      // ldrexd  r0, r1, [r2]
    .word   0xe2800001      // add     r0, r0, #1
    .word   0xe1a23f90      // strexd  r3, r0, r1, [r2]
double_end_el0:
byte_el0:
    .word   0xe1d20f9f      // ldrexb  r0, [r2]
    .word   0xe2800001      // add     r0, r0, #1
    .word   0xe1c23f90      // strexb  r3, r0, [r2]
byte_end_el0:
half_el0:
    .word   0xe1f20f9f      // ldrexh  r0, [r2]
    .word   0xe2800001      // add     r0, r0, #1
    .word   0xe1e23f90      // strexh  r3, r0, [r2]
half_end_el0:
    .word   0xe4883004      // str     r3, [r8], #4
    .word   0xe5920000      // ldr     r0, [r2]
    .word   0xe4880004      // str     r0, [r8], #4
    .word   0xeb000000      // bl      called
    .word   0xef0000ff      // svc     #0xff
called_el0:
    .word   0xe12fff1e      // bx      lr
