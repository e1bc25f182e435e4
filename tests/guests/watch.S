// Routines for a debugger to call (PC, address in x0, x30 = ready), one for each way to access memory. The access is the routine's first
// instruction, or the one behind its label NAME_at. A NAME ends with the bytes that are accessed.
    .arch   armv8.1-a
    .globl  _start
_start:
    bl      mmu_on
    // Where a routine returns to.
ready:
    b       ready

// Starts vCPU 1, which goes to `ready` too.
start_second:
    ldr     x0, =0xc4000003         // PSCI CPU_ON
    mov     x1, #1                  // MPIDR
    adr     x2, _start
    hvc     #0
    // Where a vCPU waits that no routine is called on.
idle:
    b       idle

// Unaligned accesses need normal memory, so: 0 to 1 GiB as device memory, 1 to 2 GiB as normal memory, flat, and the same once more from
// 2 GiB on. Tags in addresses are ignored.
mmu_on:
    mov     x0, #3 << 20            // CPACR: no trap of SIMD
    msr     cpacr_el1, x0
    ldr     x0, =0xff00             // MAIR: attribute 0 is device nGnRnE, 1 is normal write-back
    msr     mair_el1, x0
    ldr     x0, =0x2000803520       // TCR: TBI0, 4 KiB granule, 32-bit addresses, cached walks, TTBR0 only
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
    ret

.macro access name, instruction:vararg
\name:
    \instruction
    ret
.endm

    access  load_1, ldrb w1, [x0]
    access  load_2, ldrh w1, [x0]
    access  load_4, ldr w1, [x0]
    access  load_8, ldr x1, [x0]
    access  load_pair_8, ldp w1, w2, [x0]
    access  load_pair_16, ldp x1, x2, [x0]
    access  load_simd_16, ldr q0, [x0]
    access  load_simd_pair_32, ldp q0, q1, [x0]
    access  load_simd_multiple_64, ld1 {v0.16b-v3.16b}, [x0]
    access  load_interleaved_32, ld4 {v0.8b-v3.8b}, [x0]
    access  load_acquire_8, ldar x1, [x0]
    access  load_exclusive_8, ldxr x1, [x0]

    access  store_1, strb w1, [x0]
    access  store_2, strh w1, [x0]
    access  store_4, str w1, [x0]
    access  store_8, str x1, [x0]
    access  store_pair_8, stp w1, w2, [x0]
    access  store_pair_16, stp x1, x2, [x0]
    access  store_simd_16, str q0, [x0]
    access  store_simd_pair_32, stp q0, q1, [x0]
    access  store_simd_multiple_64, st1 {v0.16b-v3.16b}, [x0]
    access  store_interleaved_32, st4 {v0.8b-v3.8b}, [x0]
    access  store_release_8, stlr x1, [x0]
    access  store_zeros, dc zva, x0

    // FEAT_LSE: reads and writes.
    access  add_8, ldadd x1, x2, [x0]
    access  swap_8, swp x1, x2, [x0]

// Adds 1 to the doubleword at x0 by an exclusive load and store, tried until it succeeds.
add_exclusive_8:
    ldxr    x1, [x0]
    add     x1, x1, #1
add_exclusive_8_at:
    stxr    w2, x1, [x0]
    cbnz    w2, add_exclusive_8
    ret

// x0 = bytes that DC ZVA sets to 0 (Arm ARM, DCZID_EL0.BS).
zeros_len:
    mrs     x1, dczid_el0
    and     x1, x1, #15
    mov     x0, #4
    lsl     x0, x0, x1
    ret

// x0 = whether there is FEAT_LSE: ID_AA64ISAR0_EL1.Atomic.
has_lse:
    mrs     x0, id_aa64isar0_el1
    ubfx    x0, x0, #20, #4
    ret

// Adds 1 to the doubleword at x0, x1 times, and returns in x0 how often it did.
count:
    mov     x2, #0
0:  add     x2, x2, #1
    ldr     x3, [x0]
    add     x3, x3, #1
count_at:
    str     x3, [x0]
    sub     x1, x1, #1
    cbnz    x1, 0b
    mov     x0, x2
    ret
    .ltorg

    .balign 4096
level1:
    .quad   0x00000000 | 0x401      // AF, attribute 0, block
    .quad   0x40000000 | 0x705      // AF, inner shareable, attribute 1, block
    .quad   0x40000000 | 0x705
    .quad   0

// What is accessed, somewhere around its middle. DC ZVA writes 2 KiB at most.
    .balign 4096
cell:
    .space  8192
