//! The guest `watch`, its accesses, and what stops them.

use tests::rsp::Stop;

use crate::routines::Routines;

/// A kind of watchpoint: the type of its packet and the name of its field in stop replies.
pub type Kind = (u8, &'static str);

pub const WRITE: Kind = (2, "watch");
pub const READ: Kind = (3, "rwatch");
pub const ACCESS: Kind = (4, "awatch");

/// The guest's routines that can begin at any address: name and bytes accessed.
pub const LOADS: [(&str, u64); 10] = [
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
pub const STORES: [(&str, u64); 10] = [
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
pub struct Guest {
    /// Its routines.
    pub routines: Routines,
    /// An address with thousands of bytes to access on both sides, aligned to 4 KiB.
    pub cell: u64,
}

impl Guest {
    pub fn start(more: &[&str]) -> Self {
        let mut routines = Routines::start("watch", more);
        let cell = routines.at("cell") + 0x1000;
        Self { routines, cell }
    }

    pub fn watch(&mut self, kind: Kind, addr: u64, len: u64) {
        self.routines.rsp.order(&format!("Z{},{addr:x},{len:x}", kind.0));
    }

    pub fn unwatch(&mut self, kind: Kind, addr: u64, len: u64) {
        self.routines.rsp.order(&format!("z{},{addr:x},{len:x}", kind.0));
    }

    /// Calls an access routine with these arguments, of which the first is the address, continues from
    /// each stop at the access, and returns the stops.
    #[track_caller]
    pub fn stops(&mut self, routine: &'static str, arguments: &[u64]) -> Vec<Stop> {
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
    pub fn is_stopped(
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
    pub fn check_edges(
        &mut self,
        kind: Kind,
        start: u64,
        len: u64,
        routines: &[(&'static str, u64)],
    ) {
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
    pub fn fill_registers(&mut self) -> u64 {
        // The architecture has 16 at most.
        (0..=16).take_while(|number| self.is_set(*number)).count() as u64
    }

    /// Whether the watchpoint with this number of [`Self::fill_registers`] is set, now or before.
    pub fn is_set(&mut self, number: u64) -> bool {
        let addr = self.cell + 0x800 + 8 * number;
        self.routines.rsp.ask(&format!("Z2,{addr:x},8")) == "OK"
    }

    /// Removes what [`Self::fill_registers`] has set.
    pub fn empty_registers(&mut self) {
        for number in 0..16 {
            self.unwatch(WRITE, self.cell + 0x800 + 8 * number, 8);
        }
    }
}

/// Fails unless the stop is of this kind and its address inside `start..start + len`.
#[track_caller]
pub fn assert_inside(stop: &Stop, kind: Kind, (start, len): (u64, u64)) {
    let addr = stop.field(kind.1).unwrap_or_else(|| panic!("no {} in {}", kind.1, stop.text));
    let addr = u64::from_str_radix(addr, 16).expect("digits");
    assert!((start..start + len).contains(&addr), "{start:#x}, {len} bytes: {}", stop.text);
}
