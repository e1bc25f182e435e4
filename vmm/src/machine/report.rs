//! `--report`: what there is to tell of a run, as JSON (docs/ci.md).

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process;
use std::time::Instant;

use nix::sys::stat::{Mode, umask};

use super::hang::Whereabouts;
use crate::exit::Outcome;
use crate::json::Json;
use crate::kvm::control::Control;
use crate::kvm::memory::Memory;
use crate::memoir::{self, Memoir};

/// Of the schema. A member more is none of its business.
const VERSION: u64 = 1;

/// What was seen of a run. The default is of one in which nothing was started.
#[derive(Default)]
pub struct Facts {
    /// When the guest was let go first.
    pub began: Option<Instant>,
    /// When its console's first byte came.
    pub spoke: Option<Instant>,
    /// What its console said.
    pub memoir: Memoir,
    /// The kernel's version, if the console did not say so.
    pub version: Option<String>,
    /// How often KVM_RUN came back, by reason.
    pub exits: BTreeMap<String, u64>,
    /// Bytes of guest RAM that are in the host's memory.
    pub guest: Option<u64>,
    /// Of a guest that was stopped against its will.
    pub whereabouts: Vec<Whereabouts>,
}

/// Where it goes.
pub struct Place<'a> {
    /// Its name.
    pub path: &'a Path,
    /// Its permissions, by the user's umask. A share may clear that later (devices::virtio::fs).
    mode: u32,
}

impl<'a> Place<'a> {
    /// Refuses a path at which there can be no report. To be called before anything is started, threads among it: the process's
    /// umask changes meanwhile.
    pub fn new(path: &'a Path) -> Result<Self, Outcome> {
        let unusable = |why: &str| {
            let path = path.display();
            Outcome::Unusable(format!("--report {path}: {why}, expected a file to write"))
        };
        match fs::metadata(folder(path)) {
            Ok(data) if !data.is_dir() => return Err(unusable("is not in a directory")),
            Err(error) => return Err(unusable(&error.to_string())),
            Ok(_) if path.is_dir() => return Err(unusable("is a directory")),
            Ok(_) => {}
        }
        let mask = umask(Mode::empty());
        umask(mask);
        Ok(Self { path, mode: 0o666 & !mask.bits() })
    }

    /// Writes it: whoever looks sees the report that was there before, or this one whole.
    pub fn write(&self, start: Instant, outcome: &Outcome, facts: &Facts) -> io::Result<()> {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let new = folder(self.path).join(format!(".{name}.{}", process::id()));
        let file =
            File::options().write(true).create(true).truncate(true).mode(self.mode).open(&new);
        let written = file
            .and_then(|mut file| writeln!(file, "{}", json(start, outcome, facts)))
            .and_then(|()| fs::rename(&new, self.path));
        if written.is_err() {
            // Most likely it is not there.
            let _ = fs::remove_file(&new);
        }
        written
    }
}

fn folder(path: &Path) -> PathBuf {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or(Path::new(".")).to_owned()
}

fn json(start: Instant, outcome: &Outcome, facts: &Facts) -> Json {
    let at = |time: Instant| time.saturating_duration_since(start).as_millis() as u64;
    let memoir = &facts.memoir;
    let exits = facts.exits.iter().map(|(name, count)| (name.clone(), (*count).into()));
    Json::object([
        ("schema", VERSION.into()),
        ("minivmm", env!("CARGO_PKG_VERSION").into()),
        ("outcome", outcome.name().into()),
        ("status", u64::from(outcome.status()).into()),
        ("message", outcome.to_string().into()),
        (
            "times_ms",
            Json::object([
                ("first_instruction", facts.began.map(at).into()),
                ("first_console_byte", facts.spoke.map(at).into()),
                ("first_userspace", memoir.userspace.map(at).into()),
                ("end", at(Instant::now()).into()),
            ]),
        ),
        ("exits", Json::Object(exits.collect())),
        (
            "memory_kib",
            Json::object([
                ("peak", peak().into()),
                ("guest", facts.guest.map(|bytes| bytes >> 10).into()),
            ]),
        ),
        ("kernel", memoir.version.clone().or_else(|| facts.version.clone()).into()),
        ("vcpus", facts.whereabouts.iter().collect()),
        ("warnings", memoir.warnings.iter().map(String::as_str).collect()),
        ("console", memoir.last_lines().collect()),
    ])
}

/// What all of the process had in memory at most, in KiB (proc(5), VmHWM).
fn peak() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}

/// Exits of all vCPUs together, which are parked.
pub fn exits(control: &Control) -> BTreeMap<String, u64> {
    let mut sums = BTreeMap::new();
    for index in 0..control.len() {
        if let Some(vcpu) = control.vcpu(index) {
            for (name, kind) in vcpu.exits() {
                *sums.entry(name).or_default() += kind.count;
            }
        }
    }
    sums
}

/// The version of a Linux whose Image lies in this range of guest memory, by its banner there.
pub fn banner(memory: &Memory, image: &Range<u64>) -> Option<String> {
    /// Bytes that are looked at together.
    const WINDOW: usize = 1 << 20;
    /// Bytes that a banner's beginning takes at most: windows overlap by so many.
    const BANNER: usize = 128;
    const BEGINNING: &[u8] = b"Linux version ";
    let mut bytes = vec![0; WINDOW + BANNER];
    for start in image.clone().step_by(WINDOW) {
        let len = usize::try_from(image.end - start).unwrap_or(usize::MAX).min(bytes.len());
        let window = bytes.get_mut(..len)?;
        if !memory.read(start, window) {
            return None;
        }
        // Also in formats, where a version is no version.
        let found = window.windows(BEGINNING.len()).enumerate().filter(|(_, it)| *it == BEGINNING);
        let text = |at: usize| window.get(at..window.len().min(at + BANNER));
        let version = |at| memoir::version(&String::from_utf8_lossy(text(at)?));
        if let Some(version) = found.map(|(at, _)| at).find_map(version) {
            return Some(version);
        }
    }
    None
}
