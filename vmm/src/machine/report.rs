//! `--report`: what there is to tell of a run, as JSON (docs/ci.md).

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::ops::Range;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process;
use std::time::Instant;

use super::hang::Whereabouts;
use super::{resources, signals};
use crate::exit::Outcome;
use crate::json::Json;
use crate::kvm::control::Control;
use crate::kvm::memory::Memory;
use crate::memoir::{self, Memoir};
use crate::message::say;

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

/// Where the report goes.
pub struct Report {
    /// As the user has it.
    name: String,
    /// Where links lead.
    path: PathBuf,
    /// Its permissions, by the user's umask. A share may clear that later (devices::virtio::fs).
    mode: u32,
    /// What is no file that another one could take the place of: a pipe, a device, our own output.
    stream: Option<File>,
}

impl Report {
    /// Refuses a path at which there can be no report, before anything is started.
    pub fn open(path: &Path) -> Result<Self, Outcome> {
        let name = path.display().to_string();
        let unusable = |error: &dyn fmt::Display| {
            Outcome::Unusable(format!("--report {name}: {error}, expected a file to write"))
        };
        if path.is_dir() || path.file_name().is_none() {
            return Err(unusable(&"is a directory"));
        }
        let stream = stream(path).map_err(|error| unusable(&error))?;
        let path = target(path);
        let mode = if stream.is_some() { Ok(0) } else { try_out(&path) };
        let mode = mode.map_err(|error| unusable(&error))?;
        Ok(Self { name, path, mode, stream })
    }

    /// Writes it: whoever looks at a file sees the report that was there before, or this one whole.
    pub fn write(mut self, start: Instant, outcome: &Outcome, facts: &Facts) {
        resources::use_spare();
        let text = format!("{}\n", json(start, outcome, facts));
        let written = match &mut self.stream {
            Some(stream) => {
                // Whoever reads it may take their time.
                signals::unblock();
                stream.write_all(text.as_bytes())
            }
            None => replace(&self.path, self.mode, &text),
        };
        if let Err(error) = written {
            say(format_args!("--report {}: {error}", self.name));
        }
    }
}

/// What is at a path, if it is written to as it is.
fn stream(path: &Path) -> io::Result<Option<File>> {
    let data = match fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        data => data?,
    };
    for ours in [io::stdout().as_fd(), io::stderr().as_fd()] {
        let file = File::from(ours.try_clone_to_owned()?);
        let found = file.metadata()?;
        if (found.dev(), found.ino()) == (data.dev(), data.ino()) {
            return Ok(Some(file));
        }
    }
    if data.is_file() { Ok(None) } else { File::options().write(true).open(path).map(Some) }
}

/// Where a path leads by links, also if there is nothing yet.
fn target(path: &Path) -> PathBuf {
    /// As many links as the host follows (path_resolution(7)).
    const LINKS: usize = 40;
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        match fs::read_link(&path) {
            Ok(link) => path = folder(&path).join(link),
            Err(_) => break,
        }
    }
    path
}

fn folder(path: &Path) -> &Path {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
}

/// Makes a file beside `path`, and tells the permissions that it got. It is not kept: a minivmm that is killed would leave it behind.
fn try_out(path: &Path) -> io::Result<u32> {
    let (file, new) = fresh(path, 0o666)?;
    fs::remove_file(new)?;
    Ok(file.metadata()?.mode() & 0o777)
}

/// A new file beside `path`, and its name.
fn fresh(path: &Path, mode: u32) -> io::Result<(File, PathBuf)> {
    let mut number = 0;
    loop {
        let new = folder(path).join(format!(".minivmm-{}-{number}", process::id()));
        match File::options().write(true).create_new(true).mode(mode).open(&new) {
            // Of a process that was killed, or of one in another namespace.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => number += 1,
            file => return Ok((file?, new)),
        }
    }
}

fn replace(path: &Path, mode: u32, text: &str) -> io::Result<()> {
    let (mut file, new) = fresh(path, mode)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| fs::rename(&new, path));
    if written.is_err() {
        // There is nothing else to be done about it.
        let _ = fs::remove_file(&new);
    }
    match written {
        // A file that is mounted by itself, as into a container, has a place that nothing else can take.
        Err(error) if error.kind() == ErrorKind::ResourceBusy => fs::write(path, text),
        written => written,
    }
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
