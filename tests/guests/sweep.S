// No guest: two pieces of code that tests/tests/translation.rs plants in Linux's kernel, to ask the CPU itself how it translates.
// Both write to the buffer at x2 and arrive at `done`.
    .globl  _start
_start:

// The registers that a walk depends on.
registers:
    mrs     x0, sctlr_el1
    mrs     x1, tcr_el1
    stp     x0, x1, [x2], #16
    mrs     x0, ttbr0_el1
    mrs     x1, ttbr1_el1
    stp     x0, x1, [x2], #16
    mrs     x0, id_aa64mmfr0_el1
    mrs     x1, id_aa64mmfr2_el1
    stp     x0, x1, [x2], #16
    b       done

// From the address x0 on: each with its PAR_EL1, until the buffer ends at x3 or the address space does. What is not mapped is skipped as a whole.
// x4: byte n is the number of address bits below what level n of the tables resolves. x5: the same for level -1.
sweep:
    at      s1e1r, x0
    isb
    mrs     x1, par_el1
    stp     x0, x1, [x2], #16
    mov     x6, #3                  // mapped: on by a page
    tbz     x1, #0, 1f              // PAR_EL1.F
    ubfx    x6, x1, #1, #6          // PAR_EL1.FST: 0b0001LL is a translation fault at level LL
1:  cmp     x6, #0b101011           // at level -1
    ubfiz   x7, x6, #3, #2
    lsr     x7, x4, x7
    csel    x7, x5, x7, eq
    lsr     x0, x0, x7              // shifts count modulo 64
    add     x0, x0, #1
    lsl     x0, x0, x7
    cbz     x0, done
    cmp     x2, x3
    b.lo    sweep

done:
    nop
