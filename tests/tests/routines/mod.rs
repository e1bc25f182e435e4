//! A bare-metal guest that is a collection of routines, called one by one by the test.

use std::collections::HashMap;

use tests::rsp::Stop;
use tests::{Minivmm, Rsp, bare_symbol};

/// GDB's numbers of the registers that a call sets.
const X30: u32 = 30;
const PC: u32 = 32;

/// The guest, stopped at its symbol `ready`, which routines return to. A software breakpoint stays
/// there, so that KVM's guest debug is on from the start.
pub struct Routines {
    /// Ends when it is dropped.
    _minivmm: Minivmm,
    /// The debugger's connection.
    pub rsp: Rsp,
    guest: &'static str,
    ready: u64,
    /// Symbols looked up before: the file that has them is on a slow file system.
    symbols: HashMap<&'static str, u64>,
}

impl Routines {
    /// Starts the guest of this name with more arguments for minivmm.
    pub fn start(guest: &'static str, more: &[&str]) -> Self {
        let port = Minivmm::free_port();
        let minivmm =
            Minivmm::start_bare(guest, &[&["--gdb", port.to_string().as_str()], more].concat());
        minivmm.stderr.expect("gdb: ");
        let mut rsp = Rsp::connect(port);
        let ready = bare_symbol(guest, "ready");
        rsp.order(&format!("Z0,{ready:x},4"));
        let stop = rsp.resume("vCont;c");
        assert_eq!(stop.pc(), ready);
        Self { _minivmm: minivmm, rsp, guest, ready, symbols: HashMap::new() }
    }

    /// Address of one of the guest's symbols.
    pub fn at(&mut self, symbol: &'static str) -> u64 {
        *self.symbols.entry(symbol).or_insert_with(|| bare_symbol(self.guest, symbol))
    }

    /// Whether a vCPU is where routines return to.
    pub fn has_returned(&self, stop: &Stop) -> bool {
        stop.pc() == self.ready
    }

    /// Calls the routine at `pc` with these arguments, until it returns or something stops it.
    #[track_caller]
    pub fn call(&mut self, pc: u64, arguments: &[u64]) -> Stop {
        for (number, value) in (0..).zip(arguments) {
            self.rsp.set_register(number, *value);
        }
        self.rsp.set_register(X30, self.ready);
        self.rsp.set_register(PC, pc);
        self.rsp.resume("vCont;c")
    }

    /// Calls the routine at `pc`, which nothing must stop, and returns its x0.
    #[track_caller]
    pub fn result(&mut self, pc: u64, arguments: &[u64]) -> u64 {
        let stop = self.call(pc, arguments);
        assert!(self.has_returned(&stop), "{}", stop.text);
        self.rsp.register(0)
    }
}
