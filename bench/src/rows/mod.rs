//! The rows of the table, a file for each kind.

pub mod conditions;
pub mod start;
pub mod stepping;

use crate::stage::Stage;
use crate::table::Row;

/// A row's name and how it is measured.
pub type Measurement = (&'static str, fn(&Stage) -> Row);

/// All of them, in the order of the table.
pub const ALL: [Measurement; 8] = [
    ("flat guest that powers off at once, whole process", start::power_off),
    ("exec to the guest's first instruction, 40 MB kernel, 2 MB initrd", start::first_instruction),
    ("packet that asks for nothing (`qC`), round trip", stepping::round_trip),
    ("`vCont;s`, round trip", stepping::step),
    ("`vCont;s` and `g`", stepping::step_and_registers),
    ("`g` when nothing ran since the last one", stepping::registers),
    ("`vCont;r`, an instruction", stepping::range),
    ("breakpoint whose condition is false, a hit", conditions::hit),
];
