// Powers off, and does nothing else.
        .text
        .globl  _start
_start: ldr     w0, =0x84000008         // PSCI SYSTEM_OFF (DEN0022, 5.10)
        hvc     #0
