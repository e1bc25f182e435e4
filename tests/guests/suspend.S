// Suspends its vCPU with a timer set, and says what it came back with and whether the time was up.
// Any interrupt that the GIC would deliver ends the wait; it stays pending, since PSTATE masks it.
#include "machine.h"

        .equ    TIMER, 1 << 27          // virtual timer's PPI 11, INTID 27
        .equ    GICD, 0x08000000        // GICD_CTLR; GICD_ISENABLER0 at 0x100, banked in a GICv2
        .equ    GICC, 0x08010000        // GICv2 CPU interface; GICC_PMR at 4
        .equ    GICR_SGI, 0x080b0000    // GICv3 redistributor's second frame; GICR_ISENABLER0 at 0x100

_start: ldr     x10, =GICD
        mov     w11, #3                 // both groups
        str     w11, [x10]
        ldr     w12, =TIMER
        mov     w13, #0xff              // every priority
        mrs     x14, id_aa64pfr0_el1
        ubfx    x14, x14, #24, #4       // GIC: system registers, so GICv3
        cbz     x14, 1f
        ldr     x10, =GICR_SGI
        str     w12, [x10, #0x100]
        msr     s3_0_c4_c6_0, x13       // ICC_PMR_EL1
        mov     x11, #1
        msr     s3_0_c12_c12_7, x11     // ICC_IGRPEN1_EL1
        isb
        b       2f
1:      str     w12, [x10, #0x100]
        ldr     x10, =GICC
        str     w13, [x10, #4]
2:
        mrs     x20, cntfrq_el0
        mrs     x21, cntvct_el0
        mov     x1, #10
        udiv    x20, x20, x1
        add     x21, x21, x20           // a tenth of a second from now
        msr     cntv_cval_el0, x21
        mov     x1, #1                  // ENABLE
        msr     cntv_ctl_el0, x1
        isb
        say     "suspending\n"
        mov     x1, #0                  // power state: standby
        mov     x2, #0
        mov     x3, #0
        psci    PSCI_CPU_SUSPEND
        mrs     x22, cntvct_el0
        bl      puthex
        say     " from CPU_SUSPEND\n"
        cmp     x22, x21
        b.hs    1f
        say     "too early\n"
1:      psci    PSCI_SYSTEM_OFF
