//! Watchpoints: which accesses they stop, what is reported, and how the guest gets past.

mod routines;

use routines::Routines;
use tests::rsp::Stop;
use tests::{Gdb, Minivmm, bare_guest};

/// A kind of watchpoint: the type of its packet and the name of its field in stop replies.
type Kind = (u8, &'static str);

const WRITE: Kind = (2, "watch");
const READ: Kind = (3, "rwatch");
const ACCESS: Kind = (4, "awatch");

/// The guest's routines that can begin at any address: name and bytes accessed.
const LOADS: [(&str, u64); 10] = [
    ("load_1", 1),
    ("load_2", 2),
    ("load_4", 4),
    ("load_8", 8),
    ("load_pair_8", 8),
    ("load_pair_16", 16),
    ("load_simd_16", 16),
    ("load_simd_pair_32", 32),
    ("load_interleaved_32", 32),
    ("load_simd_multiple_64", 64),
];
const STORES: [(&str, u64); 10] = [
    ("store_1", 1),
    ("store_2", 2),
    ("store_4", 4),
    ("store_8", 8),
    ("store_pair_8", 8),
    ("store_pair_16", 16),
    ("store_simd_16", 16),
    ("store_simd_pair_32", 32),
    ("store_interleaved_32", 32),
    ("store_simd_multiple_64", 64),
];

/// The guest `watch`.
struct Guest {
    routines: Routines,
    /// An address with thousands of bytes to access on both sides, aligned to 4 KiB.
    cell: u64,
}

impl Guest {
    fn start(more: &[&str]) -> Self {
        let mut routines = Routines::start("watch", more);
        let cell = routines.at("cell") + 0x1000;
        Self { routines, cell }
    }

    fn watch(&mut self, kind: Kind, addr: u64, len: u64) {
        self.routines.rsp.order(&format!("Z{},{addr:x},{len:x}", kind.0));
    }

    fn unwatch(&mut self, kind: Kind, addr: u64, len: u64) {
        self.routines.rsp.order(&format!("z{},{addr:x},{len:x}", kind.0));
    }

    /// Calls an access routine with these arguments, of which the first is the address, continues from
    /// each stop at the access, and returns the stops.
    #[track_caller]
    fn stops(&mut self, routine: &'static str, arguments: &[u64]) -> Vec<Stop> {
        let pc = self.routines.at(routine);
        let mut stops = Vec::new();
        let mut stop = self.routines.call(pc, arguments);
        while !self.routines.has_returned(&stop) {
            assert_eq!(stop.pc(), pc, "{routine}: {}", stop.text);
            // One for each of a handful of watchpoints; more never end.
            assert!(stops.len() < 8, "{routine} does not get past {}", stop.text);
            stops.push(stop);
            stop = self.routines.rsp.resume("vCont;c");
        }
        stops
    }

    /// Whether a routine is stopped by the only watchpoint there is.
    #[track_caller]
    fn is_stopped(
        &mut self,
        routine: &'static str,
        addr: u64,
        (kind, range): (Kind, (u64, u64)),
    ) -> bool {
        let stops = self.stops(routine, &[addr]);
        for stop in &stops {
            assert_inside(stop, kind, range);
        }
        assert!(stops.len() < 2, "{routine} at {addr:#x} stopped twice: {stops:?}");
        !stops.is_empty()
    }

    /// Watches a range and checks that of the accesses at its edges and across it exactly those stop that should.
    #[track_caller]
    fn check_edges(&mut self, kind: Kind, start: u64, len: u64, routines: &[(&'static str, u64)]) {
        self.watch(kind, start, len);
        for (routine, size) in routines {
            let is_meant = match kind {
                READ => routine.starts_with("load"),
                WRITE => routine.starts_with("store"),
                _ => true,
            };
            let places = [
                (start - size, false),
                (start - size + 1, true),
                (start + len - 1, true),
                (start + len, false),
            ];
            for (addr, is_inside) in places {
                let found = self.is_stopped(routine, addr, (kind, (start, len)));
                let wanted = is_meant && is_inside;
                let what = format!("{} of {start:#x}, {len} bytes", kind.1);
                assert_eq!(found, wanted, "{what}: {routine} at {addr:#x}");
            }
        }
        self.unwatch(kind, start, len);
    }

    /// Sets watchpoints of 8 bytes, one after the other from behind the cell, until one is refused; how many there are then.
    fn fill_registers(&mut self) -> u64 {
        // The architecture has 16 at most.
        (0..=16).take_while(|number| self.is_set(*number)).count() as u64
    }

    /// Whether the watchpoint with this number of [`Self::fill_registers`] is set, now or before.
    fn is_set(&mut self, number: u64) -> bool {
        let addr = self.cell + 0x800 + 8 * number;
        self.routines.rsp.ask(&format!("Z2,{addr:x},8")) == "OK"
    }

    /// Removes what [`Self::fill_registers`] has set.
    fn empty_registers(&mut self) {
        for number in 0..16 {
            self.unwatch(WRITE, self.cell + 0x800 + 8 * number, 8);
        }
    }
}

/// Fails unless the stop is of this kind and its address inside `start..start + len`.
#[track_caller]
fn assert_inside(stop: &Stop, kind: Kind, (start, len): (u64, u64)) {
    let addr = stop.field(kind.1).unwrap_or_else(|| panic!("no {} in {}", kind.1, stop.text));
    let addr = u64::from_str_radix(addr, 16).expect("digits");
    assert!((start..start + len).contains(&addr), "{start:#x}, {len} bytes: {}", stop.text);
}

#[test]
fn one_to_eight_bytes_aligned_or_not_stop_every_kind_of_access_that_touches_them() {
    let mut guest = Guest::start(&[]);
    let all = [LOADS, STORES].concat();
    guest.check_edges(ACCESS, guest.cell + 4, 4, &all);
    guest.check_edges(ACCESS, guest.cell + 6, 4, &all);

    // Aligned, unaligned, and across 8 bytes, where it takes two registers.
    let some = [LOADS[0], LOADS[3], LOADS[6], STORES[0], STORES[3], STORES[5]];
    let ranges = [(4, 1), (7, 1), (4, 2), (5, 2), (7, 2), (3, 3), (0, 8), (1, 7), (1, 8)];
    for (number, (offset, len)) in ranges.into_iter().enumerate() {
        let kind = [WRITE, READ, ACCESS][number % 3];
        guest.check_edges(kind, guest.cell + offset, len, &some);
    }
}

#[test]
fn every_kind_of_watchpoint_stops_its_own_kind_of_access() {
    let mut guest = Guest::start(&[]);
    for kind in [WRITE, READ, ACCESS] {
        guest.check_edges(kind, guest.cell + 4, 4, &[LOADS[2], STORES[2], LOADS[5], STORES[5]]);
    }
}

#[test]
fn any_length_is_watched_by_as_many_registers_as_it_needs() {
    let mut guest = Guest::start(&[]);
    let routines = [LOADS[0], STORES[0], LOADS[3], STORES[3], STORES[5], LOADS[9]];
    // 12: 8 and 4. From 4 on: 4 and 8. 24: 16 and 8. 40: 32 and 8. 63 from 1 on: 7, 8, 16 and 32.
    let ranges = [(0, 12), (4, 12), (0, 16), (0, 24), (8, 24), (0, 40), (24, 40), (1, 63), (0, 64)];
    for (number, (offset, len)) in ranges.into_iter().enumerate() {
        let kind = [ACCESS, WRITE, READ][number % 3];
        guest.check_edges(kind, guest.cell + offset, len, &routines);
    }
}

#[test]
fn powers_of_two_up_to_2_gib_take_one_register() {
    let mut guest = Guest::start(&[]);
    let cell = guest.cell;
    for len in [16, 64, 1024] {
        guest.check_edges(WRITE, cell, len, &[STORES[0], STORES[3], LOADS[3]]);
    }
    // From here on the ranges are the ones that the cell lies in. The mapping from 2 GiB on leads to the same memory.
    let far = cell + (1 << 30);
    for shift in [16, 20, 30, 31] {
        let len = 1 << shift;
        let start = cell & !(len - 1);
        guest.watch(WRITE, start, len);
        assert!(guest.is_stopped("store_8", cell, (WRITE, (start, len))), "1 << {shift}");
        assert!(guest.is_stopped("store_1", start.max(cell - 0x1000), (WRITE, (start, len))));
        assert!(!guest.is_stopped("load_8", cell, (WRITE, (start, len))));
        assert!(!guest.is_stopped("store_8", far, (WRITE, (start, len))), "1 << {shift}");
        // One register: all the others are free.
        let used = guest.fill_registers();
        guest.unwatch(WRITE, start, len);
        assert_eq!(guest.fill_registers(), used + 1);
        guest.empty_registers();
    }
    // Across 2 GiB: two of 1 GiB each.
    guest.watch(WRITE, 1 << 30, 2 << 30);
    assert!(guest.is_stopped("store_8", cell, (WRITE, (1 << 30, 2 << 30))));
    assert!(guest.is_stopped("store_8", far, (WRITE, (1 << 30, 2 << 30))));
}

#[test]
fn zeroed_blocks_exclusives_and_atomics_are_accesses_too() {
    let mut guest = Guest::start(&[]);
    let cell = guest.cell;
    let zeros = guest.routines.at("zeros_len");
    let zeros = guest.routines.result(zeros, &[]);
    let lse = guest.routines.at("has_lse");
    let has_lse = guest.routines.result(lse, &[]) >= 2;

    // DC ZVA writes the whole block, wherever in it its address is.
    for offset in [0, zeros / 2, zeros - 4] {
        let range = (cell + offset, 4);
        guest.watch(WRITE, range.0, range.1);
        for addr in [cell, cell + offset, cell + zeros - 1] {
            assert!(guest.is_stopped("store_zeros", addr, (WRITE, range)), "{addr:#x}, {offset}");
        }
        assert!(!guest.is_stopped("store_zeros", cell + zeros, (WRITE, range)));
        assert!(!guest.is_stopped("store_zeros", cell - 1, (WRITE, range)));
        guest.unwatch(WRITE, range.0, range.1);
    }

    let range = (cell + 4, 2);
    for (kind, routines) in [
        (READ, ["load_acquire_8", "load_exclusive_8"].as_slice()),
        (WRITE, &["store_release_8"]),
        (READ, &["add_8", "swap_8"][..2 * usize::from(has_lse)]),
        (WRITE, &["add_8", "swap_8"][..2 * usize::from(has_lse)]),
        (ACCESS, &["add_8", "swap_8"][..2 * usize::from(has_lse)]),
    ] {
        guest.watch(kind, range.0, range.1);
        for routine in routines {
            assert!(guest.is_stopped(routine, cell, (kind, range)), "{routine}");
            assert!(!guest.is_stopped(routine, cell + 8, (kind, range)), "{routine}");
            assert!(!guest.is_stopped(routine, cell - 8, (kind, range)), "{routine}");
        }
        guest.unwatch(kind, range.0, range.1);
    }

    // A stop before an exclusive store would make it fail each time: this one stops behind it.
    let [add, store] =
        ["add_exclusive_8", "add_exclusive_8_at"].map(|name| guest.routines.at(name));
    let before = guest.routines.rsp.read_u64(cell);
    guest.watch(WRITE, range.0, range.1);
    let stop = guest.routines.call(add, &[cell]);
    assert_eq!(stop.pc(), store + 4);
    assert_inside(&stop, WRITE, range);
    let stop = guest.routines.rsp.resume("vCont;c");
    assert!(guest.routines.has_returned(&stop), "{}", stop.text);
    assert_eq!(guest.routines.rsp.read_u64(cell), before + 1);
}

#[test]
fn watchpoints_that_share_bytes_or_touch_each_other_are_told_apart() {
    let mut guest = Guest::start(&[]);
    let cell = guest.cell;

    // Loads and stores of the same bytes.
    guest.watch(READ, cell, 4);
    guest.watch(WRITE, cell, 4);
    assert!(guest.is_stopped("load_4", cell, (READ, (cell, 4))));
    assert!(guest.is_stopped("store_4", cell, (WRITE, (cell, 4))));
    // Other bytes for loads than for stores, with some in common.
    guest.unwatch(READ, cell, 4);
    guest.watch(READ, cell + 2, 4);
    assert!(guest.is_stopped("load_8", cell, (READ, (cell + 2, 4))));
    assert!(guest.is_stopped("store_8", cell, (WRITE, (cell, 4))));
    assert!(!guest.is_stopped("load_1", cell, (READ, (cell + 2, 4))));
    assert!(!guest.is_stopped("store_1", cell + 5, (WRITE, (cell, 4))));
    guest.unwatch(READ, cell + 2, 4);
    guest.unwatch(WRITE, cell, 4);

    // Neighbours: each for itself, and both where one access touches both.
    let [low, high] = [(cell, 8), (cell + 8, 8)];
    guest.watch(WRITE, low.0, low.1);
    guest.watch(WRITE, high.0, high.1);
    assert!(guest.is_stopped("store_8", cell, (WRITE, low)));
    assert!(guest.is_stopped("store_8", cell + 8, (WRITE, high)));
    for (routine, addr) in [("store_pair_16", cell), ("store_simd_16", cell), ("store_8", cell + 4)]
    {
        let stops = guest.stops(routine, &[addr]);
        assert_eq!(stops.len(), 2, "{routine}: {stops:?}");
        let lower = usize::from(stops[0].field("watch") > stops[1].field("watch"));
        assert_inside(&stops[lower], WRITE, low);
        assert_inside(&stops[1 - lower], WRITE, high);
    }
}

#[test]
fn the_guest_gets_past_a_watchpoint_once_by_continuing_and_by_stepping() {
    let mut guest = Guest::start(&[]);
    let cell = guest.cell;
    let [count, access] = ["count", "count_at"].map(|symbol| guest.routines.at(symbol));
    guest.watch(WRITE, cell, 8);

    let mut stop = guest.routines.call(count, &[cell, 5]);
    for round in 0..5 {
        assert_eq!(stop.pc(), access);
        assert_inside(&stop, WRITE, (cell, 8));
        assert_eq!(guest.routines.rsp.read_u64(cell), round, "stopped before the access");
        stop = guest.routines.rsp.resume("vCont;c");
    }
    assert!(guest.routines.has_returned(&stop), "{}", stop.text);
    assert_eq!(guest.routines.rsp.register(0), 5);
    assert_eq!(guest.routines.rsp.read_u64(cell), 5);

    // Step by step: the watchpoint is reported where it is reached, and the next step gets past.
    let mut stop = guest.routines.call(count, &[cell, 3]);
    for round in 5..8 {
        assert_eq!(stop.pc(), access);
        assert_inside(&stop, WRITE, (cell, 8));
        let stop_past = guest.routines.rsp.resume("vCont;s");
        assert_eq!(stop_past.pc(), access + 4);
        assert_eq!(stop_past.field("watch"), None);
        assert_eq!(guest.routines.rsp.read_u64(cell), round + 1);
        if round == 7 {
            break;
        }
        // sub, cbnz, add, ldr, add.
        for _ in 0..5 {
            stop = guest.routines.rsp.resume("vCont;s");
            assert_eq!(stop.field("watch"), None, "{}", stop.text);
        }
        assert_eq!(stop.pc(), access);
        stop = guest.routines.rsp.resume("vCont;s");
    }
    let stop = guest.routines.rsp.resume("vCont;c");
    assert!(guest.routines.has_returned(&stop), "{}", stop.text);
    assert_eq!(guest.routines.rsp.register(0), 3);
    assert_eq!(guest.routines.rsp.read_u64(cell), 8);
}

#[test]
fn a_watchpoint_stops_the_vcpu_that_accesses_and_names_it() {
    let mut guest = Guest::start(&["--cpus", "2"]);
    let cell = guest.cell;
    let [start_second, idle, store] =
        ["start_second", "idle", "store_8"].map(|symbol| guest.routines.at(symbol));
    // Behind it is `idle`: what stops is the second one, at `ready`.
    let stop = guest.routines.call(start_second, &[]);
    assert!(guest.routines.has_returned(&stop), "{}", stop.text);
    assert_eq!(stop.thread(), 2);

    guest.watch(WRITE, cell, 8);
    for [accessing, other] in [[2, 1], [1, 2], [2, 1]] {
        guest.routines.rsp.select(other);
        guest.routines.rsp.set_register(32, idle);
        guest.routines.rsp.select(accessing);
        let stop = guest.routines.call(store, &[cell]);
        assert_eq!((stop.thread(), stop.pc()), (accessing, store), "{}", stop.text);
        assert_inside(&stop, WRITE, (cell, 8));
        let stop = guest.routines.rsp.resume("vCont;c");
        assert!(guest.routines.has_returned(&stop), "{}", stop.text);
        assert_eq!(stop.thread(), accessing);
    }
}

#[test]
fn a_tag_in_the_address_of_a_watchpoint_does_not_matter() {
    // Nor does one in the address of an access, on hardware (Arm ARM D2.10.4); QEMU's CPU compares tags.
    let mut guest = Guest::start(&[]);
    let cell = guest.cell;
    let tagged = cell | 0xab << 56;
    guest.watch(ACCESS, tagged, 4);
    assert!(guest.is_stopped("store_8", cell, (ACCESS, (cell, 4))));
    assert!(guest.is_stopped("load_1", cell + 3, (ACCESS, (cell, 4))));
    guest.unwatch(ACCESS, cell, 4);
    assert!(!guest.is_stopped("store_8", cell, (ACCESS, (cell, 4))));
}

#[test]
fn as_many_watchpoints_as_kvm_has_work_and_the_error_past_them_says_how_many() {
    let mut guest = Guest::start(&[]);
    let cell = guest.cell;
    let have = guest.fill_registers();
    // The architecture has 2 to 16 (Arm ARM, ID_AA64DFR0_EL1.WRPs).
    assert!((2..=16).contains(&have), "{have}");
    let refusal = format!("E.all {have} hardware watchpoints are in use");
    assert_eq!(guest.routines.rsp.ask(&format!("Z4,{cell:x},1")), refusal);
    for number in 0..have {
        let addr = cell + 0x800 + 8 * number;
        assert!(guest.is_stopped("store_4", addr + 4, (WRITE, (addr, 8))));
    }

    // Room for one register, and not for a range that takes two.
    guest.unwatch(WRITE, cell + 0x800, 8);
    assert_eq!(guest.routines.rsp.ask(&format!("Z2,{:x},4", cell + 6)), refusal);
    guest.watch(ACCESS, cell, 1);
    assert!(guest.is_stopped("load_1", cell, (ACCESS, (cell, 1))));
    assert!(!guest.is_stopped("store_8", cell + 0x800, (WRITE, (cell, 1))));

    // 7, 8, 16, ... bytes: one length takes all of the registers, and the next is too much for all of them.
    guest.empty_registers();
    guest.unwatch(ACCESS, cell, 1);
    let most = (1 << (have + 2)) - 1;
    guest.watch(READ, cell + 1, most);
    assert!(guest.is_stopped("load_1", cell + most, (READ, (cell + 1, most))));
    guest.unwatch(READ, cell + 1, most);
    assert_eq!(guest.routines.rsp.ask(&format!("Z3,{:x},{:x}", cell + 1, most + 1)), refusal);
}

#[test]
fn gdb_watches_a_variable_and_shows_its_values() {
    let port = Minivmm::free_port();
    let minivmm = Minivmm::start_bare("watch", &["--gdb", &port.to_string()]);
    let mut gdb = Gdb::start(Some(&bare_guest("watch").with_extension("elf")));
    gdb.connect(format!(":{port}"));
    gdb.run("break *&ready");
    gdb.run("continue");
    for (kind, said) in [
        ("watch", "Hardware watchpoint 2: *(long *) &cell\n\nOld value = 0\nNew value = 1\n"),
        ("awatch", "Hardware access (read/write) watchpoint 3: *(long *) &cell\n\nValue = 1\n"),
        ("rwatch", "Hardware read watchpoint 4: *(long *) &cell\n\nValue = 2\n"),
    ] {
        gdb.run("set $x0 = &cell");
        gdb.run("set $x1 = 1");
        gdb.run("set $lr = &ready");
        gdb.run("set $pc = &count");
        gdb.run(&format!("{kind} *(long *) &cell"));

        let stopped = gdb.run("continue");

        assert!(stopped.contains(said), "{kind}: {stopped}");
        gdb.run("delete $bpnum");
        let stopped = gdb.run("continue");
        assert!(stopped.contains("Breakpoint 1, "), "{stopped}");
    }
    gdb.assert_no_complaint();
    gdb.run("kill");
    assert_eq!(minivmm.finish().status, 0);
}
