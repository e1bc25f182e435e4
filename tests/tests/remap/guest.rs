//! The guest `remap`: two pages of text, and what leads to them.

use tests::rsp::Stop;

use crate::routines::Routines;

/// The first page in the upper half, and another.
pub const WINDOW: u64 = 0xffffffff00000000;
pub const ALIAS: u64 = WINDOW + 0x1000;
/// A page that has its own descriptor in each of the two address spaces.
pub const LOWER: u64 = 0x80000000;

/// Descriptor of a page but for its address: AF, inner shareable, attribute 1, valid.
pub const PAGE: u64 = 0x707;

/// What the first instruction of a page can be: the planted BRK #0, or an operation on w0 and w1, of
/// which page A has `add` and page B `sub`. Called with 6 and 3 these give 9, 3, 2, 5 and 7.
pub const INSTRUCTIONS: [(u64, &str); 6] = [
    (0xd4200000, "brk"),
    (ADD, "add"),
    (0x4b010000, "sub"),
    (AND, "and"),
    (EOR, "eor"),
    (ORR, "orr"),
];
/// Those that tests have put there.
pub const ADD: u64 = 0x0b010000;
pub const AND: u64 = 0x0a010000;
pub const EOR: u64 = 0x4a010000;
pub const ORR: u64 = 0x2a010000;

/// An instruction's name.
pub fn name(word: u64) -> &'static str {
    let known = INSTRUCTIONS.iter().find(|(code, _)| *code == word & 0xffffffff);
    known.unwrap_or_else(|| panic!("{word:#x} is none of {INSTRUCTIONS:x?}")).1
}

/// The guest `remap`.
pub struct Guest {
    pub routines: Routines,
    pub page_a: u64,
    pub page_b: u64,
}

impl Guest {
    pub fn start() -> Self {
        let mut routines = Routines::start("remap", &[]);
        let [page_a, page_b] = ["page_a", "page_b"].map(|symbol| routines.at(symbol));
        Self { routines, page_a, page_b }
    }

    pub fn start_with_mmu() -> Self {
        let mut guest = Self::start();
        guest.run("mmu_on", &[]);
        guest
    }

    /// Has the guest run one of its routines.
    #[track_caller]
    pub fn run(&mut self, routine: &'static str, arguments: &[u64]) -> u64 {
        let routine = self.routines.at(routine);
        self.routines.result(routine, arguments)
    }

    /// Has the guest map a page of the upper half to `page`.
    pub fn map(&mut self, va: u64, page: u64) {
        let descriptor = self.routines.at("high_3") + (va - WINDOW) / 0x1000 * 8;
        self.run("map", &[descriptor, page | PAGE]);
    }

    /// Has the guest map [`LOWER`] to `page` in an address space.
    pub fn map_lower(&mut self, level_3: &'static str, page: u64) {
        let descriptor = self.routines.at(level_3);
        self.run("map", &[descriptor, page | PAGE]);
    }

    pub fn unmap(&mut self, va: u64) {
        let descriptor = self.routines.at("high_3") + (va - WINDOW) / 0x1000 * 8;
        self.run("map", &[descriptor, 0]);
    }

    /// The first instruction of each page as the guest finds it by its flat address: what is in memory.
    pub fn found(&mut self) -> [&'static str; 2] {
        [self.page_a, self.page_b].map(|page| name(self.run("load", &[page])))
    }

    /// The same as the debugger reads it.
    pub fn read(&mut self) -> [&'static str; 2] {
        [self.page_a, self.page_b].map(|page| name(self.routines.rsp.read_u64(page)))
    }

    /// The result of the code at `va`, which nothing must stop.
    #[track_caller]
    pub fn result(&mut self, va: u64) -> u64 {
        self.routines.result(va, &[6, 3])
    }

    /// The result of the code at `va`, where a breakpoint must be hit.
    #[track_caller]
    pub fn result_through_breakpoint(&mut self, va: u64) -> u64 {
        let stop = self.routines.call(va, &[6, 3]);
        self.finish_from_breakpoint(&stop, va)
    }

    /// The result of the code at `va`, where a breakpoint must have been hit.
    #[track_caller]
    pub fn finish_from_breakpoint(&mut self, stop: &Stop, va: u64) -> u64 {
        assert_eq!((stop.field("swbreak"), stop.pc()), (Some(""), va), "{}", stop.text);
        let stop = self.routines.rsp.resume("vCont;s");
        assert_eq!(stop.pc(), va + 4);
        let stop = self.routines.rsp.resume("vCont;c");
        assert!(self.routines.has_returned(&stop), "{}", stop.text);
        self.routines.rsp.register(0)
    }

    pub fn plant(&mut self, va: u64) {
        self.routines.rsp.order(&format!("Z0,{va:x},4"));
    }

    pub fn remove(&mut self, va: u64) {
        self.routines.rsp.order(&format!("z0,{va:x},4"));
    }

    /// Fills the breakpoint registers that are free with breakpoints in nobody's way; how many that are.
    pub fn fill_registers(&mut self) -> u64 {
        let mut count = 0;
        while self.routines.rsp.ask(&format!("Z1,{:x},4", self.page_a + 0x800 + 4 * count)) == "OK"
        {
            count += 1;
        }
        count
    }

    pub fn empty_registers(&mut self, count: u64) {
        for number in 0..count {
            self.routines.rsp.order(&format!("z1,{:x},4", self.page_a + 0x800 + 4 * number));
        }
    }

    /// How many breakpoint registers are free.
    pub fn free_registers(&mut self) -> u64 {
        let count = self.fill_registers();
        self.empty_registers(count);
        count
    }
}
