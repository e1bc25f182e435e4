// Two vCPUs, each with tables of its own, that have the same virtual address lead to different memory.
    .equ    SHARED, 0x100000000     // virtual: 0x40200000 for vCPU 0, 0x40400000 for vCPU 1
    .globl  _start
_start:
    adr     x0, first_tables
    ldr     x1, =0x1111111111111111
    bl      enter
    ldr     x0, =0xc4000003         // PSCI CPU_ON
    mov     x1, #1                  // MPIDR
    adr     x2, second
    mov     x3, #0
    hvc     #0
0:  b       0b

second:
    adr     x0, second_tables
    ldr     x1, =0x2222222222222222
    bl      enter
both_entered:
    b       both_entered

// Turns the MMU on with the tables at x0 and stores x1 at SHARED.
enter:
    ldr     x2, =0xff00             // MAIR: attribute 0 is device nGnRnE, 1 is normal write-back
    msr     mair_el1, x2
    ldr     x2, =0x803519           // TCR: 4 KiB granule, 39-bit addresses, cached walks, TTBR0 only
    msr     tcr_el1, x2
    msr     ttbr0_el1, x0
    isb
    mrs     x2, sctlr_el1
    orr     x2, x2, #1 << 0         // M
    orr     x2, x2, #1 << 2         // C
    orr     x2, x2, #1 << 12        // I
    msr     sctlr_el1, x2
    isb
    ldr     x2, =SHARED
    str     x1, [x2]
    ret
    .ltorg

// Level 1 and level 2. 0 to 1 GiB as device memory, 1 to 2 GiB as normal memory, flat; SHARED by a block of 2 MiB.
    .macro  tables memory
1:  .quad   0x00000000 | 0x401      // AF, attribute 0, block
    .quad   0x40000000 | 0x705      // AF, inner shareable, attribute 1, block
    .quad   0, 0
    .quad   2f + 3                  // table
    .balign 4096
2:  .quad   \memory | 0x705
    .balign 4096
    .endm

    .balign 4096
first_tables:
    tables  0x40200000
second_tables:
    tables  0x40400000
