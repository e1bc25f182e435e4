//! Watchpoints on what a load-exclusive and a store-exclusive access. A stop before the store makes it fail each time, so it comes behind.

use tests::rsp::Stop;

use crate::guest::{ACCESS, Guest, Kind, WRITE, assert_inside};

/// Has the guest add 1 to its cell, and checks that it comes to these stops on the way, by label, offset and kind, and
/// to no others.
#[track_caller]
fn assert_stops(guest: &mut Guest, how: &str, wanted: &[(&'static str, u64, Kind)]) {
    let add = guest.routines.at("add_exclusive_8");
    let cell = guest.cell;
    let before = guest.routines.rsp.read_u64(cell);

    let mut stop = guest.routines.call(add, &[cell]);
    for (label, offset, kind) in wanted {
        let place = guest.routines.at(label) + offset;
        assert_eq!(stop.pc(), place, "{label}: {}", stop.text);
        assert_inside(&stop, *kind, (cell, 8));
        stop = past(guest, how, &stop);
    }

    assert!(guest.routines.has_returned(&stop), "{}", stop.text);
    assert_eq!(guest.routines.rsp.read_u64(cell), before + 1);
}

/// Continues, or steps as long as only steps are reported.
fn past(guest: &mut Guest, how: &str, from: &Stop) -> Stop {
    let mut stop = guest.routines.rsp.resume(how);
    let is_step =
        |stop: &Stop| ["watch", "awatch", "swbreak"].iter().all(|name| stop.field(name).is_none());
    let mut steps = 0;
    while is_step(&stop) && !guest.routines.has_returned(&stop) {
        steps += 1;
        assert!(steps < 16, "stepped from {:#x} for ever", from.pc());
        stop = guest.routines.rsp.resume(how);
    }
    stop
}

#[test]
fn a_watched_store_is_reported_behind_it_once() {
    let mut guest = Guest::start(&[]);
    let cell = guest.cell;

    for how in ["vCont;c", "vCont;s:p1.1"] {
        guest.watch(WRITE, cell + 4, 2);
        assert_stops(&mut guest, how, &[("add_exclusive_8_at", 4, WRITE)]);
        // Several on the same store, of which one is reported.
        guest.watch(WRITE, cell, 1);
        guest.watch(WRITE, cell, 8);
        assert_stops(&mut guest, how, &[("add_exclusive_8_at", 4, WRITE)]);
        guest.unwatch(WRITE, cell + 4, 2);
        guest.unwatch(WRITE, cell, 1);
        guest.unwatch(WRITE, cell, 8);
    }
}

#[test]
fn an_access_watchpoint_is_reported_at_the_load_and_behind_the_store() {
    let mut guest = Guest::start(&[]);
    let cell = guest.cell;
    guest.watch(ACCESS, cell, 8);

    for how in ["vCont;c", "vCont;s:p1.1"] {
        let wanted = [("add_exclusive_8", 0, ACCESS), ("add_exclusive_8_at", 4, ACCESS)];
        assert_stops(&mut guest, how, &wanted);
    }
}
