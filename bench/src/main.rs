//! Measures minivmm beside QEMU in one arm64 host, for `scripts/bench`, and prints a Markdown table:
//! minivmm-bench --minivmm FILE --stripped FILE --flat FOLDER --linux FOLDER [--qemu FILE] [--growth FOLDER] [NAME...]

mod client;
#[cfg_attr(not(target_arch = "aarch64"), path = "counter_elsewhere.rs")]
mod counter;
mod exits;
mod growth;
mod plot;
mod process;
mod rows;
mod stage;
mod table;
mod vmm;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use stage::{Sources, Stage};

/// What the command line asks for.
struct Request {
    sources: Sources,
    /// Cost over growth is measured instead, and drawn in this folder.
    growth: Option<PathBuf>,
    /// Rows are measured whose names contain one of these; all, if there are none.
    names: Vec<String>,
}

fn request() -> Request {
    let mut request = Request { sources: Sources::default(), growth: None, names: Vec::new() };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let sources = &mut request.sources;
        let value = match word.as_str() {
            "--minivmm" => &mut sources.minivmm,
            "--stripped" => &mut sources.stripped,
            "--flat" => &mut sources.flat,
            "--linux" => &mut sources.linux,
            "--qemu" => sources.qemu.insert(PathBuf::new()),
            "--growth" => request.growth.insert(PathBuf::new()),
            _ => {
                request.names.push(word);
                continue;
            }
        };
        *value = words.next().unwrap_or_else(|| panic!("{word} wants a value")).into();
    }
    request
}

/// As it calls itself: `QEMU emulator version 11.1.2 (Debian ...)`.
fn qemu_version(stage: &Stage) -> Option<String> {
    let qemu = stage.qemu.as_ref()?;
    let output = Command::new(&qemu[0]).args(&qemu[1..]).arg("--version").output();
    let said = String::from_utf8(output.expect("QEMU starts").stdout).expect("text");
    said.split_whitespace().nth(3).map(String::from)
}

fn main() -> ExitCode {
    let request = request();
    let stage = || Stage::new(&request.sources);
    if let Some(folder) = &request.growth {
        growth::show(&stage(), folder, &request.names);
        return ExitCode::SUCCESS;
    }
    let is_named = |work: &str| request.names.iter().any(|name| work.contains(name.as_str()));
    let is_asked_for =
        |works: &[&str]| request.names.is_empty() || works.iter().any(|work| is_named(work));
    let asked: Vec<_> = rows::ALL.iter().filter(|rows| is_asked_for(rows.works)).collect();
    if asked.is_empty() {
        eprintln!("bench: no row's name contains {}; there are:", request.names.join(" or "));
        rows::ALL.iter().flat_map(|rows| rows.works).for_each(|work| eprintln!("  {work}"));
        return ExitCode::from(2);
    }

    let stage = stage();
    println!("{}", table::head(qemu_version(&stage).as_deref()));
    let mut status = ExitCode::SUCCESS;
    for rows in asked {
        eprintln!("bench: {}", rows.works[0]);
        // The panic has said what is wrong, on standard error.
        if let Ok(measured) = catch_unwind(AssertUnwindSafe(|| (rows.measure)(&stage))) {
            for (work, row) in rows.works.iter().zip(measured) {
                println!("{}", row.line(work));
            }
        } else {
            rows.works.iter().for_each(|work| println!("| {work} | - | failed | - | - | - |"));
            status = ExitCode::FAILURE;
        }
    }
    status
}
