// Prints ID_AA64MMFR0_EL1, which says of what sizes a guest's pages may be.
    .globl  _start
_start:
    mrs     x0, id_aa64mmfr0_el1
    bl      putx
    b       power_off

#include "guest.inc"
