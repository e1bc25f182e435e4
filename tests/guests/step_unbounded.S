// Load-exclusives that no region begins with: what follows cannot be run as one. None of these depends on the monitor.
#define WITH_MMU

.macro prepare
.endm

.macro row level
    adr     x0, cell
    mov     x3, #1
    str     x3, [x0]
    // A call.
call_\level:
    ldxr    x1, [x0]
    bl      called_\level
    record  x1
    clrex
    // An indirect branch, and a store that may fail.
    adr     x4, 1f
branch_\level:
    ldxr    x1, [x0]
    add     x1, x1, #1
    br      x4
1:  stxr    w2, x1, [x0]
    cbz     w2, 2f
    str     x1, [x0]
2:  ldr     x1, [x0]
    record  x1
    // An exception.
svc_\level:
    ldxr    x1, [x0]
    svc     #1
    clrex
    // A loop without the load.
    mov     x3, #3
loop_\level:
    ldxr    x1, [x0]
3:  subs    x3, x3, #1
    b.ne    3b
    stxr    w2, x1, [x0]
    // No store.
lone_\level:
    ldaxr   x1, [x0]
    .rept   80
    add     x1, x1, #1
    .endr
    record  x1
    b       4f
called_\level:
    add     x1, x1, #1
    ret
4:
.endm

#include "step.inc"

    .balign 64
cell:
    .quad   0, 0
