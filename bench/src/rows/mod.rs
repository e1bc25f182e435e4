//! The rows of the table, a file for each kind.

pub mod boot;
pub mod breakpoints;
pub mod conditions;
pub mod console;
pub mod idle;
pub mod memory;
pub mod start;
pub mod stepping;

use crate::stage::Stage;
use crate::table::Row;

/// Rows that are measured together.
pub struct Measurement {
    /// What each shows.
    pub works: &'static [&'static str],
    /// One row for each.
    pub measure: fn(&Stage) -> Vec<Row>,
}

const fn of(works: &'static [&'static str], measure: fn(&Stage) -> Vec<Row>) -> Measurement {
    Measurement { works, measure }
}

/// All of them, in the order of the table.
pub const ALL: [Measurement; 16] = [
    of(&["flat guest that powers off at once, whole process"], start::power_off),
    of(&["exec to first instruction, 40 MB kernel, 2 MB initrd"], start::first_instruction),
    of(
        &["Linux to power-off, quiet, whole process", "the guest's clock at that power-off"],
        boot::quiet,
    ),
    of(&["Linux to power-off, console on, whole process (three runs)"], boot::verbose),
    of(
        &[
            "memory beyond guest RAM (Pss), idle Linux",
            "CPU time of threads that are no vCPU's, idle Linux, 12 s of a minute",
        ],
        idle::idle,
    ),
    of(&["program, stripped"], idle::size),
    of(&["packet with nothing to do (`qC`), round trip"], stepping::round_trip),
    of(&["`vCont;s`, round trip"], stepping::step),
    of(&["`vCont;s` and `g`"], stepping::step_and_registers),
    of(&["`g` when nothing ran since the last one"], stepping::registers),
    of(&["`vCont;r`, an instruction"], stepping::range),
    of(&["breakpoint whose condition is false, a hit"], conditions::hit),
    of(&["CPU time to read 1 MB of memory (`x`; QEMU: `m`)"], memory::read),
    of(
        &[
            "1,000 breakpoints, each, beyond two round trips",
            "breakpoints, growth from 250 to 2,000",
        ],
        breakpoints::many,
    ),
    of(
        &[
            "console, a byte, UARTDR only",
            "console, returns of KVM_RUN a byte, UARTDR only",
            "console, growth from 1 to 4 KiB, UARTDR only",
        ],
        console::write,
    ),
    of(
        &[
            "console, a byte, UARTFR and UARTDR",
            "console, returns of KVM_RUN a byte, UARTFR and UARTDR",
            "console, growth from 1 to 4 KiB, UARTFR and UARTDR",
        ],
        console::poll,
    ),
];
