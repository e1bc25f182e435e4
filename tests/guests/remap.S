// Routines for a debugger to call (PC, arguments from x0 on, x30 = ready): they change what virtual addresses lead to and what
// stands there, as a kernel does that turns its MMU on, loads and unloads modules, patches itself and switches processes.
//
// Mapped flat once the MMU is on: 0 to 1 GiB as device memory, 1 to 2 GiB as normal memory. Of the pages from 0xffffffff00000000
// (TTBR1) and 0x80000000 (TTBR0, in two address spaces) each has a descriptor here for the debugger to have written, none valid.
    .globl  _start
_start:
ready:
    b       ready

// Turns the MMU on, with the address space `space_a`.
mmu_on:
    ldr     x0, =0xff00             // MAIR: attribute 0 is device nGnRnE, 1 is normal write-back
    msr     mair_el1, x0
    ldr     x0, =0xb5203520         // TCR: 4 KiB granules, 32-bit addresses, cached walks, both halves
    msr     tcr_el1, x0
    adr     x0, space_a
    msr     ttbr0_el1, x0
    adr     x0, high_1
    msr     ttbr1_el1, x0
    tlbi    vmalle1
    dsb     nsh
    isb
    mrs     x0, sctlr_el1
    mov     x1, #0x1005             // I, C and M
    orr     x0, x0, x1
    msr     sctlr_el1, x0
    isb
    ret

// Sets the descriptor at x0 to x1, by break-before-make (Arm ARM D8.16.1).
map:
    str     xzr, [x0]
    dsb     ish
    tlbi    vmalle1is
    dsb     ish
    str     x1, [x0]
    dsb     ish
    isb
    ret

// Makes x0 the address space of the lower half.
switch:
    msr     ttbr0_el1, x0
    isb
    tlbi    vmalle1
    dsb     nsh
    isb
    ret

// Puts the instruction w1 at x0 (Arm ARM B2.7.4.2).
patch:
    str     w1, [x0]
    dc      cvau, x0
    dsb     ish
    ic      ivau, x0
    dsb     ish
    isb
    ret

// Copies the instruction at x1 to x0.
copy:
    ldr     w1, [x1]
    b       patch

// x0 = the word at x0, as the guest finds it.
load:
    ldr     w0, [x0]
    ret
    .ltorg

// Tables. Level 1 and 2 point on, level 3 is for `map`.
    .balign 4096
space_a:
    .quad   0x00000000 | 0x401      // AF, attribute 0, block
    .quad   0x40000000 | 0x705      // AF, inner shareable, attribute 1, block
    .quad   low_a_2 + 3, 0
    .balign 4096
space_b:
    .quad   0x00000000 | 0x401
    .quad   0x40000000 | 0x705
    .quad   low_b_2 + 3, 0
    .balign 4096
high_1:
    .quad   high_2 + 3, 0, 0, 0
    .balign 4096
high_2:
    .quad   high_3 + 3
    .balign 4096
low_a_2:
    .quad   low_a_3 + 3
    .balign 4096
low_b_2:
    .quad   low_b_3 + 3
    .balign 4096
high_3:
    .space  4096
low_a_3:
    .space  4096
low_b_3:
    .space  4096

// What is mapped: two pages with one routine each.
page_a:
    add     w0, w0, w1
    ret
    .balign 4096
page_b:
    sub     w0, w0, w1
    ret
    .balign 4096
