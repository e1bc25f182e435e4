// T32 at EL0, assembled by hand since the assembler knows A64 only: exceptions, IT blocks, endianness, exclusives.
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
    call_el0 start_el0, 0x70
.Lnone:
    .endif
.endm

#include "step.inc"

    .balign 16
cell:
    .quad   0, 0

    .balign 4
start_el0:
    .hword  0xdf07          // svc     #7
    .hword  0xde01          // udf     #1
    .hword  0xf7f0, 0xa002  // udf.w   #2
    .hword  0xf8d8, 0x0001  // ldr.w   r0, [r8, #1]
    .hword  0xbe05          // bkpt    #5
    .hword  0x4289          // cmp     r1, r1
    // ITSTATE is in SPSR of an SVC within the block.
    .hword  0xbf07          // ittee   eq
    .hword  0x3101          // addeq   r1, #1
    .hword  0xf101, 0x0102  // addeq.w r1, r1, #2
    .hword  0x3104          // addne   r1, #4
    .hword  0xdf08          // svcne   #8
    .hword  0xbf04          // itt     eq
    .hword  0xdf09          // svceq   #9
    .hword  0x3108          // addeq   r1, #8
    .hword  0xf848, 0x1b04  // str.w   r1, [r8], #4
    .hword  0xf3ef, 0x8000  // mrs     r0, cpsr
    .hword  0xf848, 0x0b04  // str.w   r0, [r8], #4
    .hword  0xb673          // cpsid   if
    // Bit 9 of PSTATE, which is D in A64, is E here.
    .hword  0xb658          // setend  be
    .hword  0xdf0a          // svc     #10
    .hword  0xb650          // setend  le
    // An increment, a compare-and-exchange that leaves, and conditional stores: not executed, then executed.
plain_el0:
    .hword  0xe852, 0x0f00  // ldrex   r0, [r2]
    .hword  0x3001          // adds    r0, #1
    .hword  0xe842, 0x0300  // strex   r3, r0, [r2]
plain_end_el0:
    .hword  0x2b00          // cmp     r3, #0
    .hword  0xd1f8          // bne     plain
    .hword  0xf848, 0x0b04  // str.w   r0, [r8], #4
left_el0:
    .hword  0xe8d2, 0x0fef  // ldaex   r0, [r2]
    .hword  0x2805          // cmp     r0, #5
    .hword  0xd101          // bne     left_out
    .hword  0xe8c2, 0x4fe3  // stlex   r3, r4, [r2]
left_out_el0:
    .hword  0xf3bf, 0x8f2f  // clrex
zero_el0:
    .hword  0xe8d5, 0x0f4f  // ldrexb  r0, [r5]
    .hword  0xb108          // cbz     r0, zero_out
    .hword  0xe8c5, 0x0f43  // strexb  r3, r0, [r5]
zero_out_el0:
    .hword  0xf3bf, 0x8f2f  // clrex
declined_el0:
    .hword  0xe852, 0x0f00  // ldrex   r0, [r2]
    .hword  0xf090, 0x0f05  // teq     r0, #5
    .hword  0xbf08          // it      eq
    .hword  0xe842, 0x4300  // strexeq r3, r4, [r2]
declined_end_el0:
    .hword  0xf848, 0x3b04  // str     r3, [r8], #4
stored_el0:
    .hword  0xe852, 0x0f00  // ldrex   r0, [r2]
    .hword  0xf090, 0x0f01  // teq     r0, #1
    .hword  0xbf0c          // ite     eq
    .hword  0xe842, 0x4300  // strexeq r3, r4, [r2]
stored_end_el0:
    .hword  0x2307          // movne   r3, #7
    .hword  0xf848, 0x3b04  // str     r3, [r8], #4
half_el0:
    .hword  0xe8d2, 0x0f5f  // ldrexh  r0, [r2]
    .hword  0x3001          // adds    r0, #1
    .hword  0xe8c2, 0x0f53  // strexh  r3, r0, [r2]
half_end_el0:
    .hword  0xf848, 0x3b04  // str.w   r3, [r8], #4
    .hword  0x6810          // ldr     r0, [r2]
    .hword  0xf848, 0x0b04  // str.w   r0, [r8], #4
    .hword  0xf000, 0xf801  // bl      called
    .hword  0xdfff          // svc     #0xff
called_el0:
    .hword  0x4770          // bx      lr
