// Ten thousand instructions in a row, each of which counts. Prints a checksum of them, runs them, prints the count and the checksum
// again: whatever a debugger has left in them shows.
    .globl  _start
_start:
    bl      checksum
    bl      putx
ready:
    mov     x6, #0
    b       text
after:
    mov     x0, x6
    bl      putx
    bl      checksum
    bl      putx
    b       power_off

// x0 = checksum of the text: each word is XORed in, then the sum is rotated left by 5. Clobbers x1 to x3.
checksum:
    adr     x1, text
    adr     x2, text_end
    mov     x0, #0
0:  ldr     w3, [x1], #4
    eor     x0, x0, x3
    ror     x0, x0, #64 - 5
    cmp     x1, x2
    b.lo    0b
    ret

#include "guest.inc"

text:
    .rept   10000
    add     x6, x6, #1
    .endr
text_end:
    b       after
