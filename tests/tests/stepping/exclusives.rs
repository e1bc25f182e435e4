//! Regions from a load-exclusive to its store-exclusive are one step.

use super::bare::Bare;
use super::{class, step_through};

const LEVELS: [&str; 3] = ["el1h", "el1t", "el0"];

/// The guest's regions, and where a step from the load leads: `end` is right behind the store, the others are exits.
const REGIONS: [(&str, &str); 24] = [
    ("plain", "end"),
    ("ordered", "end"),
    ("pair", "end"),
    ("ordered_pair", "end"),
    ("byte", "end"),
    ("half", "end"),
    ("cbz_stays", "end"),
    ("cbz_leaves", "out"),
    ("cbnz_stays", "end"),
    ("cbnz_leaves", "out"),
    ("tbz_stays", "end"),
    ("tbz_leaves", "out"),
    ("tbnz_stays", "end"),
    ("tbnz_leaves", "out"),
    ("exchanged", "end"),
    ("kept", "out"),
    ("first_exit", "out"),
    ("second_exit", "other"),
    ("no_exit", "end"),
    ("branch_in", "end"),
    ("branch_out", "out"),
    ("spin", "end"),
    ("long", "end"),
    ("store_faults", "vector"),
];

#[test]
fn each_region_is_one_step_to_behind_its_store_or_to_its_exit() {
    let walk = step_through("step_exclusive");

    for level in LEVELS {
        for (name, wanted) in REGIONS {
            let load = match name {
                "store_faults" => format!("{name}_{level}"),
                _ => format!("{name}_load_{level}"),
            };
            let wanted = match (wanted, level) {
                ("vector", "el0") => walk.address("vectors") + 0x400,
                ("vector", "el1h") => walk.address("vectors") + 0x200,
                ("vector", _) => walk.address("vectors"),
                (label, level) => walk.address(&format!("{name}_{label}_{level}")),
            };
            // Twice or more where an interrupt of the host's made the store fail: the guest tries again.
            let mut steps = walk.steps_from(&load);
            steps.dedup();
            assert_eq!(steps, [wanted], "{name} at {level}");
        }
        // What only looks like an exclusive.
        for name in ["ldar", "stlr"] {
            let label = format!("{name}_{level}");
            assert_eq!(walk.steps_from(&label), [walk.address(&label) + 4], "{label}");
        }
    }
    let at = |data| [data, data];
    let (el1, el0) = (at(class::DATA_EL1), at(class::DATA_EL0));
    assert_eq!(walk.classes(), [&el1[..], &el1, &el0, &[class::SVC]].concat());
}

#[test]
fn a_lock_that_somebody_has_is_a_step_onto_the_same_load() {
    let mut bare = Bare::start("step_exclusive", &[]);
    bare.run_to("spin_load_el1h");
    let (load, cell) = (bare.address("spin_load_el1h"), bare.address("cell"));
    bare.rsp.write(cell, &1_u64.to_le_bytes());

    let spins = [(); 5].map(|()| bare.step());
    bare.rsp.write(cell, &0_u64.to_le_bytes());
    let end = bare.address("spin_end_el1h");

    assert_eq!(spins, [load; 5]);
    assert_eq!(bare.step(), end);
    for _ in 0..10 {
        if bare.rsp.read_u64(cell) == 1 {
            break;
        }
        // The store failed, as above.
        bare.run_to("spin_load_el1h");
        assert_eq!(bare.step(), end);
    }
    assert_eq!(bare.rsp.read_u64(cell), 1);
    assert_eq!(bare.finish().console, Bare::free_run("step_exclusive", &[]));
}

#[test]
fn breakpoints_behind_a_region_do_not_change_where_its_step_ends() {
    let mut bare = Bare::start("step_exclusive", &[]);
    bare.run_to("spin_load_el1h");
    let (load, cell) = (bare.address("spin_load_el1h"), bare.address("cell"));
    // Somewhere here is the place that a branch back to the load leads to for the time being.
    let behind: Vec<_> = (0..3).map(|n| bare.address("spin_end_el1h") + 4 * n).collect();
    for addr in &behind {
        bare.rsp.order(&format!("Z1,{addr:x},4"));
    }
    bare.rsp.write(cell, &1_u64.to_le_bytes());

    let spins = [(); 3].map(|()| bare.step());

    assert_eq!(spins, [load; 3]);
    for addr in &behind {
        bare.rsp.order(&format!("z1,{addr:x},4"));
    }
    bare.rsp.write(cell, &0_u64.to_le_bytes());
    assert_eq!(bare.finish().console, Bare::free_run("step_exclusive", &[]));
}

#[test]
fn a_breakpoint_on_the_load_is_lifted_for_the_region() {
    let mut bare = Bare::start("step_exclusive", &[]);
    let regions = ["plain_load_el1h", "kept_load_el1h", "spin_load_el1h"];
    for label in regions {
        let load = bare.address(label);
        bare.rsp.order(&format!("Z0,{load:x},4"));
    }

    let mut last = None;
    for (label, to) in regions.into_iter().zip(["plain_end", "kept_out", "spin_end"]) {
        let mut stop = bare.rsp.resume("vCont;c");
        while Some(stop.pc()) == last {
            // The store failed, as above.
            bare.step();
            stop = bare.rsp.resume("vCont;c");
        }
        assert!(stop.field("swbreak").is_some(), "{}", stop.text);
        assert_eq!(stop.pc(), bare.address(label));
        assert_eq!(bare.step(), bare.address(&format!("{to}_el1h")));
        last = Some(stop.pc());
    }

    // Nor is it sure that the last store succeeded.
    let load = bare.address("spin_load_el1h");
    bare.rsp.order(&format!("z0,{load:x},4"));
    assert_eq!(bare.finish().console, Bare::free_run("step_exclusive", &[]));
}

#[test]
fn a_breakpoint_inside_a_region_ends_the_step_and_removed_lets_it_finish() {
    let mut bare = Bare::start("step_exclusive", &[]);
    bare.run_to("plain_load_el1h");
    let load = bare.address("plain_load_el1h");
    bare.rsp.order(&format!("Z0,{:x},4", load + 4));

    let stop = bare.rsp.resume("vCont;s:p1.1");
    assert_eq!(stop.pc(), load + 4, "{}", stop.text);
    // The monitor is gone: the store fails and the guest comes back to its load.
    let pcs = [(); 3].map(|()| bare.step());
    assert_eq!(pcs, [load + 8, load + 12, load]);
    bare.rsp.order(&format!("z0,{:x},4", load + 4));
    assert_eq!(bare.step(), load + 12);

    assert_eq!(bare.finish().console, Bare::free_run("step_exclusive", &[]));
}

#[test]
fn what_cannot_be_run_as_one_is_stepped_one_by_one_and_said_once() {
    let walk = step_through("step_unbounded");

    for level in LEVELS {
        for name in ["call", "branch", "svc", "loop", "lone"] {
            let label = format!("{name}_{level}");
            assert_eq!(walk.steps_from(&label), [walk.address(&label) + 4], "{label}");
        }
    }
    let said = walk.stderr.lines().filter(|line| line.contains("exclusive")).count();
    assert_eq!(said, 1, "{}", walk.stderr);
}
