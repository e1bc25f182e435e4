//! Stands in for the machine where there is no arm64 KVM.

use std::env::consts::ARCH;

use crate::cli::Config;
use crate::exit::Outcome;

/// Says where minivmm runs.
pub fn run(_: &Config) -> Outcome {
    Outcome::HostFailed(format!(
        "/dev/kvm: this host is {ARCH}, expected arm64 (scripts/minivmm runs an emulated arm64 host)"
    ))
}
