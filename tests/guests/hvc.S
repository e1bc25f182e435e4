// Talks by the virtio console (virtio 1.2, 5.3): says its size as columns and rows, and each byte that comes as a number. Says the size again
// at Ctrl-R. Powers off at Ctrl-D, and does not wait for its last words to be taken. Before all this it says something by the UART
// and by an emergency write.
#include "machine.h"

        .equ    CTRL_D, 4
        .equ    CTRL_R, 18

        .equ    VIRTIO, 0x0a000000
        .equ    NEXT_DEVICE, 0x200
        .equ    CONSOLE, 3              // device ID

        // Registers (4.2.2)
        .equ    DEVICE_ID, 0x008
        .equ    DEVICE_FEATURES, 0x010
        .equ    DEVICE_FEATURES_SEL, 0x014
        .equ    DRIVER_FEATURES, 0x020
        .equ    DRIVER_FEATURES_SEL, 0x024
        .equ    QUEUE_SEL, 0x030
        .equ    QUEUE_NUM, 0x038
        .equ    QUEUE_READY, 0x044
        .equ    QUEUE_NOTIFY, 0x050
        .equ    STATUS, 0x070
        .equ    QUEUE_DESC, 0x080
        .equ    QUEUE_DRIVER, 0x090
        .equ    QUEUE_DEVICE, 0x0a0
        .equ    COLS, 0x100
        .equ    ROWS, 0x102
        .equ    EMERG_WR, 0x108

        .equ    SIZE, 4                 // descriptors of a queue
        .equ    RECEIVE, 0
        .equ    TRANSMIT, 1
        .equ    WRITE, 2                // descriptor: for the device to write

_start: bl      mmu_on
        say     "by the UART\n"
        ldr     x19, =VIRTIO
1:      ldr     w0, [x19, #DEVICE_ID]
        cmp     w0, #CONSOLE
        b.eq    2f
        add     x19, x19, #NEXT_DEVICE
        b       1b
2:      mov     w0, #'!'
        str     w0, [x19, #EMERG_WR]
        mov     w0, #'\n'
        str     w0, [x19, #EMERG_WR]

        str     wzr, [x19, #STATUS]
        mov     w0, #3
        str     w0, [x19, #STATUS]
        str     wzr, [x19, #DEVICE_FEATURES_SEL]
        ldr     w0, [x19, #DEVICE_FEATURES]
        and     w0, w0, #1              // VIRTIO_CONSOLE_F_SIZE, where it is offered
        str     wzr, [x19, #DRIVER_FEATURES_SEL]
        str     w0, [x19, #DRIVER_FEATURES]
        mov     w0, #1                  // VIRTIO_F_VERSION_1, bit 32
        str     w0, [x19, #DRIVER_FEATURES_SEL]
        str     w0, [x19, #DRIVER_FEATURES]
        mov     w0, #11
        str     w0, [x19, #STATUS]
        mov     w0, #RECEIVE
        adr     x1, receive
        bl      set_up
        mov     w0, #TRANSMIT
        adr     x1, transmit
        bl      set_up
        mov     w0, #15
        str     w0, [x19, #STATUS]

size:   ldrh    w0, [x19, #COLS]
        bl      number
        ldrh    w0, [x19, #ROWS]
        bl      number

next:   mov     w0, #RECEIVE
        adr     x1, receive
        adr     x2, byte
        mov     w3, #1
        mov     w4, #WRITE
        bl      offer
        bl      wait
        ldrb    w21, [x2]
        cmp     w21, #CTRL_R
        b.eq    size
        mov     w0, w21
        bl      number
        cmp     w21, #CTRL_D
        b.ne    next
        mov     w0, #TRANSMIT
        adr     x1, transmit
        adr     x2, last
        mov     w3, #last_end - last
        mov     w4, #0
        bl      offer
        psci    PSCI_SYSTEM_OFF

// w0: queue, x1: its memory, all zero: descriptors, what is available, what was used. Uses x0.
set_up: str     w0, [x19, #QUEUE_SEL]
        mov     w0, #SIZE
        str     w0, [x19, #QUEUE_NUM]
        str     w1, [x19, #QUEUE_DESC]
        add     w0, w1, #available - receive
        str     w0, [x19, #QUEUE_DRIVER]
        add     w0, w1, #used - receive
        str     w0, [x19, #QUEUE_DEVICE]
        mov     w0, #1
        str     w0, [x19, #QUEUE_READY]
        ret

// Offers the device one buffer. w0: queue, x1: its memory, x2: the buffer, w3: its length, w4: flags. Uses x5 to x7.
offer:  str     x2, [x1]
        str     w3, [x1, #8]
        strh    w4, [x1, #12]
        add     x5, x1, #available - receive
        ldrh    w6, [x5, #2]
        and     w7, w6, #SIZE - 1
        add     x7, x5, x7, lsl #1
        strh    wzr, [x7, #4]           // descriptor 0
        dmb     sy
        add     w6, w6, #1
        strh    w6, [x5, #2]
        dsb     sy
        str     w0, [x19, #QUEUE_NOTIFY]
        ret

// Waits until the device has used all that was offered. x1: the queue's memory. Uses x5 to x7.
wait:   add     x5, x1, #available - receive
        ldrh    w6, [x5, #2]
        add     x5, x1, #used - receive
1:      ldrh    w7, [x5, #2]
        cmp     w6, w7
        b.ne    1b
        dmb     sy
        ret

// Says w0 as four hexadecimal digits and a line feed. Uses x0 to x9.
number: mov     x9, x30
        adr     x2, digits
        mov     w5, #12
1:      lsr     w6, w0, w5
        and     w6, w6, #15
        cmp     w6, #10
        add     w6, w6, #'0'
        b.lo    2f
        add     w6, w6, #'a' - '0' - 10
2:      strb    w6, [x2], #1
        subs    w5, w5, #4
        b.ge    1b
        adr     x2, digits
        mov     w0, #TRANSMIT
        adr     x1, transmit
        mov     w3, #5
        mov     w4, #0
        bl      offer
        bl      wait
        ret     x9

#include "mmu.inc"

last:   .ascii  "last words\n"
last_end:
digits: .ascii  "....\n"
byte:   .byte   0

        .balign 16
receive:
        .fill   SIZE * 16, 1, 0
available:
        .fill   64, 1, 0
used:   .fill   64, 1, 0
        .balign 16
transmit:
        .fill   SIZE * 16 + 128, 1, 0
