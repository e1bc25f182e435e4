//! Breakpoints whose condition is false.

use crate::client::Debugger;
use crate::rows::stepping::{each, in_rounds};
use crate::stage::Stage;
use crate::table::{Must, Row, Series};
use crate::vmm::{Vmm, compare};

/// The register that counts the guest's rounds.
const ROUNDS: u32 = 21;

/// A hit that does not count. minivmm judges it itself; for QEMU the client does as GDB must, with as few
/// packets as it can.
pub fn hit(stage: &Stage) -> Vec<Row> {
    let addr = stage.symbol("bench_rounds", "work");
    vec![compare(stage, "us", Must::AtMost(150.0), |vmm| {
        let mut debugger = in_rounds(stage, vmm, 0);
        debugger.run_to(addr);
        Series::measure(|| match vmm {
            Vmm::Qemu => judged_by_client(&mut debugger, addr),
            Vmm::Minivmm => judged_by_stub(&mut debugger, addr),
        })
    })]
}

/// At the breakpoint already: this is the first hit, and the last one is true.
fn judged_by_stub(debugger: &mut Debugger, addr: u64) -> f64 {
    const HITS: u32 = 300;
    let last = debugger.register(ROUNDS) + u64::from(HITS);
    // reg 21, const32, equal, end (GDB manual, Bytecode Descriptions): as GDB sends `$x21 == N`.
    debugger.order(&format!("Z0,{addr:x},4;Xa,26001524{last:08x}1327"));
    let time = each(HITS, || debugger.resume("vCont;c"));
    assert_eq!(debugger.register(ROUNDS), last);
    debugger.remove(addr);
    time
}

/// At the breakpoint too; the first hit is the next one.
fn judged_by_client(debugger: &mut Debugger, addr: u64) -> f64 {
    const HITS: u32 = 40;
    debugger.insert(addr);
    let first = debugger.register(ROUNDS);
    let time = each(HITS, || {
        for hit in 1..=HITS {
            // Past the breakpoint, and on to its next hit.
            debugger.remove(addr);
            debugger.step();
            debugger.insert(addr);
            debugger.resume("vCont;c");
            assert_eq!(debugger.register(ROUNDS), first + u64::from(hit));
        }
    });
    debugger.remove(addr);
    time
}
