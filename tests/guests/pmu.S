// Counts its own cycles, has the counter overflow, and waits for the interrupt that is to tell of it (FEAT_PMUv3; Arm ARM, D13).
#include "machine.h"

        .equ    CYCLES, 1 << 31         // the cycle counter's bit in the registers that have one for each counter
        .equ    PMCR, 0x45              // LC: it has 64 bits. C: reset it. E: count
        .equ    PENDING_V2, 0x08000200  // GICD_ISPENDR0, banked
        .equ    PENDING_V3, 0x080b0200  // GICR_ISPENDR0
        .equ    INTERRUPT, 23           // the PMU's, a PPI

_start: mrs     x0, id_aa64dfr0_el1
        ubfx    x0, x0, #8, #4          // PMUVer: none, or one that is not the architecture's
        add     x0, x0, #1
        tst     x0, #14
        b.eq    none
        msr     pmccfiltr_el0, xzr
        mov     x0, #CYCLES
        msr     pmcntenset_el0, x0
        msr     pmintenset_el1, x0
        mov     x0, #PMCR
        msr     pmcr_el0, x0
        isb

        mrs     x19, pmccntr_el0
        mov     x0, #10000
1:      subs    x0, x0, #1
        b.ne    1b
        mrs     x20, pmccntr_el0
        cmp     x20, x19
        b.ls    off
        say     "cycles\n"

        mov     x0, #-0x10000
        msr     pmccntr_el0, x0
        isb
2:      mrs     x0, pmovsset_el0
        tbz     x0, #31, 2b
        say     "overflow\n"

        mrs     x0, id_aa64pfr0_el1
        ubfx    x0, x0, #24, #4         // GIC: the CPU interface has system registers
        cmp     x0, #0
        ldr     x1, =PENDING_V2
        ldr     x2, =PENDING_V3
        csel    x1, x1, x2, eq
3:      ldr     w0, [x1]
        tbz     w0, #INTERRUPT, 3b
        say     "interrupt\n"
        b       off
none:   say     "none\n"
off:    psci    PSCI_SYSTEM_OFF
