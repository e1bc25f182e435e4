//! minivmm: a mini-VMM for arm64 KVM with the debugger built in.
//!
//! `main` parses the command line, [`machine`] puts everything together and runs it, and the
//! [`exit::Outcome`] becomes the exit status.
#![cfg_attr(
    not(target_arch = "aarch64"),
    allow(
        dead_code,
        reason = "the pure half builds and is tested everywhere, KVM's on arm64 only"
    )
)]

mod arch;
mod burst;
mod cli;
mod debug;
mod exit;
mod json;
#[cfg(target_arch = "aarch64")]
mod kvm;
mod lines;
mod log;
#[cfg_attr(not(target_arch = "aarch64"), path = "machine_elsewhere.rs")]
mod machine;
mod memoir;
mod message;
mod reader;
mod words;

use std::io::{self, Write};
use std::process::ExitCode;

use cli::Request;
use exit::Outcome;

fn main() -> ExitCode {
    let words: Vec<String> =
        match std::env::args_os().skip(1).map(std::ffi::OsString::into_string).collect() {
            Ok(words) => words,
            Err(word) => {
                return finish(&Outcome::Unusable(format!("{}: expected UTF-8", word.display())));
            }
        };
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match cli::parse(&words) {
        Ok(Request::Run(config)) => finish(&machine::run(&config)),
        Ok(Request::Print(text)) => {
            // Nobody reads it: nothing is lost.
            let _ = io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(message) => finish(&Outcome::Unusable(message)),
    }
}

/// Says why, where the user did not ask for it, and gives the exit status.
fn finish(outcome: &Outcome) -> ExitCode {
    if !outcome.is_wanted() {
        message::say(outcome);
    }
    outcome.status().into()
}
