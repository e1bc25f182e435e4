// For ever: reads and writes of each width in and around 16 bytes, each access behind a label that says what it does,
// how many bytes it touches and at which offset. Each write changes every byte it writes.
    .globl  _start
_start:
    // Unaligned accesses need normal memory, so: 0 to 1 GiB as device memory, 1 to 2 GiB as normal memory, flat.
    ldr     x0, =0xff00             // MAIR: attribute 0 is device nGnRnE, 1 is normal write-back
    msr     mair_el1, x0
    ldr     x0, =0x803520           // TCR: 4 KiB granule, 32-bit addresses, cached walks, TTBR0 only
    msr     tcr_el1, x0
    adr     x0, level1
    msr     ttbr0_el1, x0
    isb
    mrs     x0, sctlr_el1
    orr     x0, x0, #1 << 0         // M
    orr     x0, x0, #1 << 2         // C
    orr     x0, x0, #1 << 12        // I
    msr     sctlr_el1, x0
    isb

    adr     x0, cell
    mov     x1, #0
    ldr     x2, =0x0101010101010101
again:
    nop
read_1_4:
    ldrb    w3, [x0, #4]
read_2_4:
    ldrh    w3, [x0, #4]
read_4_4:
    ldr     w3, [x0, #4]
read_8_0:
    ldr     x3, [x0]
read_16_0:
    ldp     x3, x4, [x0]
read_1_9:
    ldrb    w3, [x0, #9]
read_4_6:
    ldr     w3, [x0, #6]
    add     x1, x1, x2
write_1_4:
    strb    w1, [x0, #4]
    add     x1, x1, x2
write_2_4:
    strh    w1, [x0, #4]
    add     x1, x1, x2
write_4_4:
    str     w1, [x0, #4]
    add     x1, x1, x2
write_8_0:
    str     x1, [x0]
    add     x1, x1, x2
write_16_0:
    stp     x1, x1, [x0]
    add     x1, x1, x2
write_1_9:
    strb    w1, [x0, #9]
    add     x1, x1, x2
write_4_6:
    str     w1, [x0, #6]
    b       again
    .ltorg

    .balign 64
cell:
    .quad   0, 0

    .balign 4096
level1:
    .quad   0x00000000 | 0x401      // AF, attribute 0, block
    .quad   0x40000000 | 0x705      // AF, inner shareable, attribute 1, block
    .quad   0, 0
