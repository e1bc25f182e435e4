//! Many software breakpoints.

use crate::client::Debugger;
use crate::growth::exponent;
use crate::rows::stepping::{bare, each, in_rounds};
use crate::stage::Stage;
use crate::table::{Must, Row, Series};
use crate::vmm::compare;

const GUEST: &str = "bench_rounds";
/// What is inserted for the first row, and for the second.
const COUNT: u32 = 1000;
const COUNTS: [u32; 4] = [250, 500, 1000, 2000];

/// Two rows: what each of 1,000 costs beyond its two round trips, insertion, removal and its share of one resume from
/// stop to stop; and how that cost grows with their number.
pub fn many(stage: &Stage) -> Vec<Row> {
    let mut exponents = Vec::new();
    let cost = compare(stage, "us", Must::AtMost(40.0), |vmm| {
        let mut field = Field::new(stage, in_rounds(stage, vmm, 0));
        let growth: Vec<_> =
            COUNTS.iter().map(|count| (f64::from(*count), field.cost(*count))).collect();
        exponents.push(Series::of(vec![exponent(&growth)]));
        Series::measure(|| field.cost(COUNT) / f64::from(COUNT))
    });
    let minivmm = exponents.pop();
    vec![cost, Row { unit: "exponent", qemu: exponents.pop(), minivmm, must: Must::AtMost(1.1) }]
}

/// Where the breakpoints go, in a guest that never gets there.
pub struct Field {
    debugger: Debugger,
    first: u64,
    /// In the guest's loop, one after the other.
    stops: [u64; 2],
}

impl Field {
    /// Of a guest in its rounds.
    pub fn new(stage: &Stage, mut debugger: Debugger) -> Self {
        let [first, work, there] =
            ["field", "work", "there"].map(|label| stage.symbol(GUEST, label));
        debugger.run_to(work);
        Self { debugger, first, stops: [work, there] }
    }

    /// Microseconds that so many cost: all are inserted, the guest runs from one stop to the next, all are removed. Without the
    /// round trips, and without what the resume costs anyway.
    pub fn cost(&mut self, count: u32) -> f64 {
        let bare = bare(&mut self.debugger);
        let resume = self.resume();
        let insert = self.insert(count);
        let resume_with = self.resume();
        let remove = self.remove(count);
        insert + remove - 2.0 * f64::from(count) * bare + resume_with - resume
    }

    /// Microseconds to insert so many.
    pub fn insert(&mut self, count: u32) -> f64 {
        each(1, || self.addrs(count).for_each(|addr| self.debugger.insert(addr)))
    }

    /// Microseconds to remove them.
    pub fn remove(&mut self, count: u32) -> f64 {
        each(1, || self.addrs(count).for_each(|addr| self.debugger.remove(addr)))
    }

    fn addrs(&self, count: u32) -> impl Iterator<Item = u64> + use<> {
        let first = self.first;
        (0..u64::from(count)).map(move |n| first + 4 * n)
    }

    /// Microseconds from one stop to the next. Twice, to be where it was.
    pub fn resume(&mut self) -> f64 {
        let times = [1, 0].map(|next| {
            self.debugger.insert(self.stops[next]);
            let time = each(1, || self.debugger.resume("vCont;c"));
            self.debugger.remove(self.stops[next]);
            time
        });
        times[0].midpoint(times[1])
    }
}
