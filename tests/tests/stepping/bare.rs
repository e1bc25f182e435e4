//! A bare-metal guest stepped through by a client of the stub, and the way it took.

use std::ops::Range;

use tests::rsp::Stop;
use tests::{Finished, Minivmm, Rsp, bare_symbol};

/// No guest takes more steps than this from one label to another.
const MANY: usize = 3_000;

/// A guest that waits at its first instruction, and a client.
pub struct Bare {
    guest: &'static str,
    minivmm: Minivmm,
    /// The client.
    pub rsp: Rsp,
}

impl Bare {
    /// What the guest prints when nobody debugs it.
    #[track_caller]
    pub fn free_run(guest: &str, more: &[&str]) -> String {
        let vm = Minivmm::start_bare(guest, more).finish();
        assert_eq!(vm.status, 0, "{vm:?}");
        vm.console
    }

    pub fn start(guest: &'static str, more: &[&str]) -> Self {
        let port = Minivmm::free_port();
        let port_text = port.to_string();
        let minivmm = Minivmm::start_bare(guest, &[&["--gdb", &port_text], more].concat());
        // It listens before it says so.
        minivmm.stderr.expect(&port_text);
        Self { guest, minivmm, rsp: Rsp::connect(port) }
    }

    /// Address of one of the guest's labels.
    pub fn address(&self, label: &str) -> u64 {
        bare_symbol(self.guest, label)
    }

    /// Ends guest and minivmm.
    #[track_caller]
    pub fn kill(mut self) {
        assert_eq!(self.rsp.ask("vKill;1"), "OK");
        let vm = self.minivmm.finish();
        assert_eq!(vm.status, 0, "{vm:?}");
    }

    /// Runs every vCPU until one gets to the label.
    #[track_caller]
    pub fn run_to(&mut self, label: &str) {
        let at = self.address(label);
        self.rsp.order(&format!("Z1,{at:x},4"));
        let stop = self.rsp.resume("vCont;c");
        assert_eq!(stop.pc(), at, "{label}: {}", stop.text);
        self.rsp.order(&format!("z1,{at:x},4"));
    }

    /// Steps vCPU 0 by one instruction while all others stay parked, and returns PC.
    #[track_caller]
    pub fn step(&mut self) -> u64 {
        let stop = self.rsp.resume("vCont;s:p1.1");
        assert_is_step(&stop);
        stop.pc()
    }

    /// Steps vCPU 0 until it gets to the label, and returns PC after each step.
    #[track_caller]
    pub fn steps_to(&mut self, label: &str) -> Vec<u64> {
        let end = self.address(label);
        let mut pcs = Vec::new();
        while pcs.last() != Some(&end) {
            assert!(pcs.len() < MANY, "{label} is not reached: {:x?}", &pcs[MANY - 100..]);
            pcs.push(self.step());
        }
        pcs
    }

    /// Lets the engine step vCPU 0 within these addresses, until it gets to the label.
    #[track_caller]
    pub fn step_within(&mut self, within: Range<u64>, label: &str) {
        let at = self.address(label);
        self.rsp.order(&format!("Z1,{at:x},4"));
        let stop = self.rsp.resume(&format!("vCont;r{:x},{:x}:p1.1", within.start, within.end));
        assert_eq!(stop.pc(), at, "{label}: {}", stop.text);
        self.rsp.order(&format!("z1,{at:x},4"));
    }

    /// Lets the guest run to its end.
    #[track_caller]
    pub fn finish(mut self) -> Finished {
        assert_eq!(self.rsp.ask("vCont;c"), "W00;process:1");
        let vm = self.minivmm.finish();
        assert_eq!(vm.status, 0, "{vm:?}");
        vm
    }
}

/// Checks that vCPU 0 stopped because its step is done.
#[track_caller]
pub fn assert_is_step(stop: &Stop) {
    let is_point = ["swbreak", "hwbreak", "watch"].iter().any(|name| stop.field(name).is_some());
    assert!(stop.text.starts_with("T05") && stop.thread() == 1 && !is_point, "{}", stop.text);
}

/// The way through one of the guests step_*, and what it printed.
pub struct Walk {
    guest: &'static str,
    /// PC after each step.
    pub pcs: Vec<u64>,
    /// The guest's console.
    pub console: String,
    /// What minivmm said.
    pub stderr: String,
}

/// What an exception's record begins with, above the offset of its vector (tests/guests/step.inc).
const EXCEPTION: u64 = 0xec00 << 48;

impl Walk {
    pub fn new(guest: &'static str, pcs: Vec<u64>, vm: Finished) -> Self {
        Self { guest, pcs, console: vm.console, stderr: vm.stderr }
    }

    /// Everything the guest recorded.
    pub fn words(&self) -> Vec<u64> {
        let digits = |word| u64::from_str_radix(word, 16).expect("digits");
        self.console.lines().map(digits).collect()
    }

    /// Offset of the vector of each exception that the guest took.
    fn vectors(&self) -> Vec<u64> {
        self.column(0).into_iter().map(|tag| tag & 0xfff).collect()
    }

    /// A word of each exception's record.
    fn column(&self, number: usize) -> Vec<u64> {
        let words = self.words();
        let records = words.windows(6).filter(|record| record[0] >> 48 == EXCEPTION >> 48);
        records.map(|record| record[number]).collect()
    }

    /// Class of each exception that the guest took.
    pub fn classes(&self) -> Vec<u64> {
        self.column(3).into_iter().map(|esr| esr >> 26 & 0x3f).collect()
    }

    /// SPSR of each exception that the guest took.
    pub fn spsrs(&self) -> Vec<u64> {
        self.column(2)
    }

    /// Address at which the way has one of the guest's labels: EL0 may have addresses of its own.
    pub fn address(&self, label: &str) -> u64 {
        let alias = if label.ends_with("_el0") { bare_symbol(self.guest, "ALIAS") } else { 0 };
        bare_symbol(self.guest, label) + alias
    }

    /// Where each step from this label led.
    pub fn steps_from(&self, label: &str) -> Vec<u64> {
        let from = self.address(label);
        let pairs = self.pcs.windows(2).filter(|pair| pair[0] == from);
        pairs.map(|pair| pair[1]).collect()
    }

    /// Checks what holds for every guest: each exception that it took was one step, into its vector,
    /// and no step led into any other vector or nowhere.
    #[track_caller]
    pub fn assert_plausible(&self) {
        let table = bare_symbol(self.guest, "vectors");
        let offsets = self.pcs.iter().map(|pc| pc.wrapping_sub(table));
        let entered: Vec<_> = offsets.filter(|at| *at < 0x800 && at % 0x80 == 0).collect();
        assert_eq!(entered, self.vectors(), "{:x?}", self.pcs);
        assert!(self.pcs.windows(2).all(|pair| pair[0] != pair[1]), "{:x?}", self.pcs);
    }
}
