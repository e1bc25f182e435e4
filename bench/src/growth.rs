//! Cost over growth, of minivmm alone: nothing may grow faster than its input.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use crate::client::Debugger;
use crate::plot::Plot;
use crate::rows::breakpoints::Field;
use crate::rows::start::{stamp, until_first_instruction};
use crate::rows::stepping::{each, in_rounds};
use crate::stage::Stage;
use crate::table::{Series, figure};
use crate::vmm::{Guest, Vmm};

/// Beyond this an exponent is not linear any more.
pub const LINEAR: f64 = 1.1;

type Line = (String, Vec<(f64, f64)>);

/// The power of the input that the cost grows with: slope of the line through the points on paper with two logarithmic
/// scales, by least squares. 1 is linear.
pub fn exponent(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let logs: Vec<_> =
        points.iter().map(|(x, y)| (x.ln(), y.max(f64::MIN_POSITIVE).ln())).collect();
    let (x, y) = logs.iter().fold((0.0, 0.0), |(x, y), log| (x + log.0 / count, y + log.1 / count));
    let covariance: f64 = logs.iter().map(|log| (log.0 - x) * (log.1 - y)).sum();
    let variance: f64 = logs.iter().map(|log| (log.0 - x).powi(2)).sum();
    covariance / variance
}

type Measure = fn(&Stage) -> Plot;
const PLOTS: [(&str, Measure); 4] =
    [("breakpoints", breakpoints), ("vcpus", vcpus), ("ram", ram), ("kernel", kernel)];

/// Measures all, or those whose names contain one of these; prints the exponents as a Markdown table and draws
/// growth-NAME.svg in this folder.
pub fn show(stage: &Stage, folder: &Path, names: &[String]) {
    println!(
        "| cost | over | from | to | grows with the power | at most linear |\n|---|---|---|---|---|---|"
    );
    for (name, plot) in PLOTS {
        if !names.is_empty() && !names.iter().any(|wanted| name.contains(wanted.as_str())) {
            continue;
        }
        eprintln!("bench: growth of {name}");
        let mut plot = plot(stage);
        for (line, points) in &mut plot.lines {
            // The part that counts: for small inputs, cost is what everything costs.
            let exponent = exponent(&points[points.len() / 2..]);
            let met = if exponent <= LINEAR { "yes" } else { "no" };
            let [from, to] = [points[0], points[points.len() - 1]]
                .map(|(x, y)| format!("{} at {}", figure(y), figure(x)));
            println!("| {line}, {} | {} | {from} | {to} | {exponent:.2} | {met} |", plot.y, plot.x);
            *line = format!("{line} (power {exponent:.2})");
        }
        let file = folder.join(format!("growth-{name}.svg"));
        fs::write(&file, plot.svg()).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }
}

/// The median of a few.
fn median(run: impl FnMut() -> f64) -> f64 {
    Series::measure_times(3, run).median()
}

fn line(name: &str, points: impl Iterator<Item = (f64, f64)>) -> Line {
    (name.into(), points.collect())
}

fn breakpoints(stage: &Stage) -> Plot {
    let mut field = Field::new(stage, in_rounds(stage, Vmm::Minivmm, 0));
    let mut lines =
        ["insert all", "remove all", "resume, all set"].map(|name| line(name, [].into_iter()));
    // To warm up.
    field.cost(1);
    for count in [1, 10, 100, 250, 500, 1000, 2000, 4000] {
        let insert = field.insert(count);
        let resume = field.resume();
        let costs = [insert, field.remove(count), resume];
        for (line, cost) in lines.iter_mut().zip(costs) {
            line.1.push((f64::from(count), cost));
        }
    }
    Plot { title: "Software breakpoints".into(), x: "breakpoints", y: "us", lines: lines.into() }
}

/// In the emulated host all of them share one CPU.
fn vcpus(stage: &Stage) -> Plot {
    let linux =
        |cpus| Guest { cpus, ..Guest::linux(stage, "console=ttyAMA0 panic=-1 quiet -- true") };
    let boot = |cpus| (f64::from(cpus), Vmm::Minivmm.whole_run(stage, &linux(cpus)));
    let waiting = Guest::flat(stage.guest("bench_cpus", 0, &[]));
    let stop = |cpus| {
        let mut debugger =
            Debugger::attach(stage, Vmm::Minivmm, &Guest { cpus, ..waiting.clone() });
        let mut said = [0; 8];
        debugger.go();
        debugger.vmm.console().read_exact(&mut said).expect("all have started");
        let time = median(|| {
            sleep(Duration::from_millis(50));
            let time = each(1, || debugger.interrupt());
            debugger.go();
            time / 1e3
        });
        (f64::from(cpus), time)
    };
    let counts = [1, 2, 4, 8];
    // To warm up.
    boot(1);
    let lines = vec![
        line("Linux to power-off", counts.iter().copied().map(boot)),
        line("Ctrl-C to stop reply", counts.iter().copied().map(stop)),
    ];
    Plot { title: "vCPUs".into(), x: "vCPUs", y: "ms", lines }
}

fn ram(stage: &Stage) -> Plot {
    let kernel = stage.guest("bench_off", 0, &[]);
    let run = |memory: u64| {
        let guest = Guest { memory, ..Guest::flat(kernel.clone()) };
        (memory as f64, median(|| Vmm::Minivmm.whole_run(stage, &guest)))
    };
    let sizes = (7..).map(|power| 1 << power).take_while(|size| *size <= host_memory());
    let lines = vec![line("exec to exit", sizes.map(run))];
    Plot { title: "Flat guest that powers off".into(), x: "MiB of RAM", y: "ms", lines }
}

/// MiB.
fn host_memory() -> u64 {
    let meminfo = fs::read_to_string("/proc/meminfo").expect("/proc/meminfo");
    let total = meminfo.split_whitespace().nth(1).expect("MemTotal");
    total.parse::<u64>().expect("KiB") >> 10
}

fn kernel(stage: &Stage) -> Plot {
    let run = |megabytes: usize| {
        let path = stamp(stage, megabytes << 20);
        let guest = Guest::flat(path.clone());
        let time = median(|| until_first_instruction(stage, Vmm::Minivmm, &guest));
        fs::remove_file(path).expect("it is there");
        (megabytes as f64, time)
    };
    let lines = vec![line("exec to first instruction", (0..8).map(|power| run(1 << power)))];
    Plot { title: "Kernel".into(), x: "MiB of kernel", y: "ms", lines }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponent_of_a_power_is_that_power() {
        let points = |power: f64| [1.0_f64, 3.0, 10.0, 50.0].map(|x| (x, 7.0 * x.powf(power)));

        for power in [0.0, 1.0, 2.0] {
            assert!((exponent(&points(power)) - power).abs() < 1e-9);
        }
    }
}
