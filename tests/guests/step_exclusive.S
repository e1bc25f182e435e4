// Regions from a load-exclusive to its store-exclusive, which a debugger has to run as one: an exception in between clears the monitor
// (Arm ARM B2.12). Each `name` has its load at name_load, its store right before name_end, and its exit, if it has one, at name_out.
#define WITH_MMU

.macro prepare
    has     id_aa64isar0_el1, 20, 2 // Atomic: CAS and its pairs
    mov     x26, x0
.endm

// Puts `value` into the cell and marks the load.
.macro begin name, level, value
    mov     x3, #\value
    stp     x3, x3, [x0]
\name\()_load_\level:
.endm

// Marks what is behind the store and records the cell.
.macro end name, level
\name\()_end_\level:
    cbnz    w2, \name\()_load_\level
    ldp     x1, x3, [x0]
    record  x1
    record  x3
.endm

// Adds one by these loads and stores.
.macro add_one name, level, load, store
    begin   \name, \level, 0x41
    \load
    add     x1, x1, #1
    \store
    end     \name, \level
.endm

// Adds one unless `branch` leaves.
.macro leave name, level, value, branch
    begin   \name, \level, \value
    ldaxr   x1, [x0]
    \branch \name\()_out_\level
    add     x1, x1, #1
    stlxr   w2, x1, [x0]
    end     \name, \level
\name\()_out_\level:
    clrex
    record  x1
.endm

// Compare and exchange, of 5 by 7.
.macro exchange name, level, value
    begin   \name, \level, \value
    ldaxr   x1, [x0]
    cmp     x1, #5
    b.ne    \name\()_out_\level
    mov     x3, #7
    stlxr   w2, x3, [x0]
    end     \name, \level
\name\()_out_\level:
    record  x1
.endm

// Two exits: above 5, and at 3.
.macro nested name, level, value
    begin   \name, \level, \value
    ldxr    x1, [x0]
    cmp     x1, #5
    b.hi    \name\()_out_\level
    cmp     x1, #3
    b.eq    \name\()_other_\level
    add     x1, x1, #1
    stxr    w2, x1, [x0]
    end     \name, \level
\name\()_out_\level:
    record  x1
\name\()_other_\level:
    clrex
.endm

// A branch within the region at 0, else B out of it.
.macro inner name, level, value
    begin   \name, \level, \value
    ldxr    x1, [x0]
    cbz     x1, .Lin\@
    b       \name\()_out_\level
.Lin\@:
    add     x1, x1, #3
    stxr    w2, x1, [x0]
    end     \name, \level
\name\()_out_\level:
    record  x1
.endm

.macro row level
    adr     x0, cell
    add_one plain, \level, "ldxr x1, [x0]", "stxr w2, x1, [x0]"
    add_one ordered, \level, "ldaxr w1, [x0]", "stlxr w2, w1, [x0]"
    add_one pair, \level, "ldxp x1, x3, [x0]", "stxp w2, x1, x3, [x0]"
    add_one ordered_pair, \level, "ldaxp w1, w3, [x0]", "stlxp w2, w1, w3, [x0]"
    add_one byte, \level, "ldxrb w1, [x0]", "stxrb w2, w1, [x0]"
    add_one half, \level, "ldaxrh w1, [x0]", "stlxrh w2, w1, [x0]"

    // Each way to leave, not taken and taken.
    leave   cbz_stays, \level, 1, "cbz x1,"
    leave   cbz_leaves, \level, 0, "cbz x1,"
    leave   cbnz_stays, \level, 0, "cbnz w1,"
    leave   cbnz_leaves, \level, 1, "cbnz w1,"
    leave   tbz_stays, \level, 2, "tbz x1, #1,"
    leave   tbz_leaves, \level, 1, "tbz x1, #1,"
    leave   tbnz_stays, \level, 1, "tbnz w1, #1,"
    leave   tbnz_leaves, \level, 2, "tbnz w1, #1,"

    exchange exchanged, \level, 5
    exchange kept, \level, 6
    nested  first_exit, \level, 6
    nested  second_exit, \level, 3
    nested  no_exit, \level, 4
    inner   branch_in, \level, 0
    inner   branch_out, \level, 1

    // A lock that is free, so that the first branch is not taken, unless a debugger takes it.
    begin   spin, \level, 0
    ldaxr   w1, [x0]
    cbnz    w1, spin_load_\level
    mov     w3, #1
    stxr    w2, w3, [x0]
    end     spin, \level

    // As many instructions as a region may have in practice.
    begin   long, \level, 1
    ldxr    x1, [x0]
    .rept   20
    add     x1, x1, x1, lsr #1
    .endr
    stxr    w2, x1, [x0]
    end     long, \level

    // Faults at the load, and at a store to read-only memory: both leave by the vector, and come back behind the instruction.
    movz    x6, #2, lsl #32
    mov     x1, #1
load_faults_\level:
    ldxr    x1, [x6]
    record  x1
    movz    x6, #1, lsl #32         // all of memory, read-only
    and     x5, x0, #0x3fffffff
    add     x6, x6, x5
    mov     w2, #9
store_faults_\level:
    ldxr    x1, [x6]
    add     x1, x1, #1
store_faults_store_\level:
    stxr    w2, x1, [x6]
store_faults_end_\level:
    record  x1
    record  x2

    // Neighbours in encoding, which are no exclusives.
ldar_\level:
    ldar    x1, [x0]
stlr_\level:
    stlr    x1, [x0]
    cbz     x26, .Lno_cas_\level
    mov     x2, #8
    mov     x3, #9
    mov     x4, #10
    mov     x5, #11
casp_\level:
    casp    x2, x3, x4, x5, [x0]
    record  x2
    record  x3
cas_\level:
    cas     x2, x4, [x0]
    record  x2
.Lno_cas_\level:
.endm

#include "step.inc"

    .balign 64
cell:
    .quad   0, 0
