// What every guest here needs: the machine's map, output, and PSCI by HVC.
// Guests are entered at 0x40080000 with x0 = device tree, MMU off, everything masked.

        .equ    UART, 0x09000000
        .equ    UARTFR, 0x18            // PL011 TRM 3.3.3
        .equ    UARTFR_RXFE, 4          // bit: receive FIFO empty
        .equ    UARTFR_TXFF, 5          // bit: transmit FIFO full
        .equ    NOWHERE, 0x0b000000     // nothing is mapped here

        // PSCI, DEN0022, chapter 5
        .equ    PSCI_CPU_SUSPEND, 0xc4000001
        .equ    PSCI_CPU_OFF, 0x84000002
        .equ    PSCI_CPU_ON, 0xc4000003
        .equ    PSCI_AFFINITY_INFO, 0xc4000004
        .equ    PSCI_SYSTEM_OFF, 0x84000008
        .equ    PSCI_SYSTEM_RESET, 0x84000009

        .macro  psci function
        ldr     w0, =\function
        hvc     #0
        .endm

        // Prints a string. Uses x0, x1, x30.
        .macro  say text
        adr     x0, 9f
        bl      puts
        b       8f
9:      .asciz  "\text"
        .balign 4
8:
        .endm

        .text
        .globl  _start
        b       _start

// x0: string. Uses x1, x2.
puts:   ldr     x1, =UART
1:      ldrb    w2, [x0], #1
        cbz     w2, 2f
        strb    w2, [x1]
        b       1b
2:      ret

// x0: number, printed as 16 hexadecimal digits. Uses x1 to x3.
puthex: ldr     x1, =UART
        mov     x2, #60
1:      lsr     x3, x0, x2
        and     x3, x3, #15
        cmp     x3, #10
        add     x3, x3, #'0'
        b.lo    2f
        add     x3, x3, #'a' - '0' - 10
2:      strb    w3, [x1]
        subs    x2, x2, #4
        b.ge    1b
        ret
