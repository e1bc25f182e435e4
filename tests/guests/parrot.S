// Repeats what comes from the console. Powers off at Ctrl-D, asks for a reset at Ctrl-R, tells pvpanic of a panic at Ctrl-P and of
// one with a crash kernel at Ctrl-N. At Ctrl-G it begins to listen to the power button, and says so; at Ctrl-O it powers off once that
// was pressed and let go.
#include "machine.h"

        .equ    CTRL_D, 4
        .equ    CTRL_G, 7
        .equ    CTRL_N, 14
        .equ    CTRL_O, 15
        .equ    CTRL_P, 16
        .equ    CTRL_R, 18

        .equ    PVPANIC, 0x090f0000
        .equ    PVPANIC_PANICKED, 1
        .equ    PVPANIC_CRASH_LOADED, 2

        .equ    GPIO, 0x09030000
        .equ    POWER_BUTTON, 1 << 3
        .equ    GPIODATA, POWER_BUTTON << 2     // PL061 TRM 3.3.1: the address is the mask
        .equ    GPIOIBE, 0x408
        .equ    GPIOIE, 0x410

_start: say     "ready\n"
        ldr     x20, =UART
        ldr     x22, =GPIO
        ldr     x23, =PVPANIC
next:   ldr     w0, [x20, #UARTFR]
        tbnz    w0, #UARTFR_RXFE, next
        ldrb    w21, [x20]
        cmp     w21, #CTRL_D
        b.eq    off
        cmp     w21, #CTRL_R
        b.eq    reset
        mov     w24, #PVPANIC_PANICKED
        cmp     w21, #CTRL_P
        b.eq    panic
        mov     w24, #PVPANIC_CRASH_LOADED
        cmp     w21, #CTRL_N
        b.eq    panic
        cmp     w21, #CTRL_G
        b.eq    listen
        cmp     w21, #CTRL_O
        b.eq    obey
        strb    w21, [x20]
        b       next

panic:  strb    w24, [x23]
        b       next

listen: mov     w0, #POWER_BUTTON
        str     w0, [x22, #GPIOIBE]
        str     w0, [x22, #GPIOIE]
        say     "listening\n"
        b       next

obey:   ldr     w0, [x22, #GPIODATA]
        cbz     w0, obey
        say     "pressed\n"
1:      ldr     w0, [x22, #GPIODATA]
        cbnz    w0, 1b
        say     "let go\n"
off:    psci    PSCI_SYSTEM_OFF
reset:  psci    PSCI_SYSTEM_RESET
