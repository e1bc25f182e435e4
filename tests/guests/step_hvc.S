// HVC and SMC: KVM answers at EL1; at EL0 they do not exist.
.macro prepare
.endm

.macro row level
    ldr     x0, =0x84000000         // PSCI_VERSION
    hvc     #0
    record  x0
    ldr     x0, =0x8400ffff         // nothing
    hvc     #0
    record  x0
    ldr     x0, =0x84000000
    smc     #0
    record  x0
    hvc     #0xffff
.endm

#include "step.inc"
