//! How kernel and initrd get into guest memory: all before the guest runs, or, where the host can make a guest wait
//! for memory, block by block while it runs.
//!
//! It then starts with the block of its first instruction. A thread loads the rest from the first address to the
//! last, and in between what a vCPU waits for.

use std::collections::BTreeSet;
use std::io;
use std::ops::Range;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use boot::load::{self, BootState, LoadError};
use boot::region::Region;
use vmm_sys_util::eventfd::EventFd;

use super::files::{Files, chain};
use crate::exit::Outcome;
use crate::kvm::demand::Demand;
use crate::kvm::memory::{HUGE_PAGE, Memory};

/// What is loaded at once: stage-2 blocks and huge pages stay whole.
const BLOCK: u64 = HUGE_PAGE as u64;

/// Milliseconds for the guest to get to its first instruction, where there is but one CPU for it and the loader.
/// Linux wants its next block at the second.
const HEAD_START: u8 = 1;

/// More than the event loop needs to end the process. Should it be waiting for a vCPU just then, it waits no longer.
const LAST_WAIT: Duration = Duration::from_secs(3);

/// Loads everything.
pub fn load_all(memory: &Memory, files: &Files, dtb: &[u8]) -> Result<BootState, Outcome> {
    let (kernel, initrd) = (&files.kernel, files.initrd.as_ref());
    load::load(memory, &files.placement, kernel, initrd, dtb)
        .map_err(|error| Failure::File(error).into())
}

/// Loads what the guest starts with into fresh memory, and says what is left to load then.
pub fn load_first(
    memory: &Memory,
    files: Files,
    dtb: Vec<u8>,
) -> Result<(BootState, Option<Rest>), Outcome> {
    let state = BootState::of(&files.placement);
    let Some(missing) = Missing::of(memory, &files) else {
        return Ok((load_all(memory, &files, &dtb)?, None));
    };
    let mut rest = Rest { missing, files, dtb };
    rest.load(state.entry - state.entry % BLOCK)?;
    Ok((state, Some(rest)))
}

/// The blocks that something lies in, by their starts. RAM has all of them whole: the device tree's is the last, and
/// its own. BSS, like all fresh memory, is zero.
fn blocks(files: &Files) -> BTreeSet<u64> {
    let kernel =
        files.placement.kernel.start()..files.placement.kernel.start() + files.kernel.len();
    let initrd = files.placement.initrd.map(|initrd| initrd.start()..initrd.end());
    let dtb = files.placement.dtb.start()..files.placement.dtb.end();
    [kernel, dtb]
        .into_iter()
        .chain(initrd)
        .flat_map(|file| (file.start - file.start % BLOCK..file.end).step_by(HUGE_PAGE))
        .collect()
}

/// Neighbouring blocks together.
fn runs(blocks: &BTreeSet<u64>) -> Vec<Range<u64>> {
    let mut runs: Vec<Range<u64>> = Vec::new();
    for &block in blocks {
        match runs.last_mut() {
            Some(run) if run.end == block => run.end += BLOCK,
            _ => runs.push(block..block + BLOCK),
        }
    }
    runs
}

/// Blocks that the guest waits for when it touches them. Those that are left when this is dropped it finds to be zero.
struct Missing {
    demand: Demand,
    /// Their first addresses.
    blocks: BTreeSet<u64>,
    /// Where one is read before the guest gets it.
    staged: Memory,
}

impl Missing {
    /// All of them, unless the host cannot make a guest wait.
    fn of(memory: &Memory, files: &Files) -> Option<Self> {
        let blocks = blocks(files);
        let (first, last) = (blocks.first()?, blocks.last()?);
        let staged = Memory::new(*first, last + BLOCK - first).ok()?;
        let demand = Demand::new(memory, &runs(&blocks)).ok()?;
        Some(Self { demand, blocks, staged })
    }

    /// One that a vCPU waits for, or the first.
    fn next(&self) -> Option<u64> {
        while let Some(ipa) = self.demand.wanted() {
            let block = ipa - ipa % BLOCK;
            // Another vCPU may have waited for the same.
            if self.blocks.contains(&block) {
                return Some(block);
            }
        }
        self.blocks.first().copied()
    }

    /// Gives the guest one that has been read.
    fn provide(&mut self, block: u64) -> Result<(), Failure> {
        self.demand
            .provide(&self.staged, &(block..block + BLOCK))
            .map_err(|error| Failure::Host(format!("guest memory at {block:#x}: {error}")))?;
        self.blocks.remove(&block);
        Ok(())
    }
}

/// What is not loaded yet, and where it comes from.
pub struct Rest {
    missing: Missing,
    files: Files,
    dtb: Vec<u8>,
}

impl Rest {
    fn load(&mut self, block: u64) -> Result<(), Failure> {
        let Files { kernel, initrd, placement, .. } = &self.files;
        let ram = &self.missing.staged;
        if block == placement.dtb.start() {
            load::load_dtb(ram, placement, &self.dtb)?;
        } else if let Some(window) = Region::new(block, BLOCK) {
            load::load_files(ram, placement, kernel, initrd.as_ref(), window)?;
        }
        self.missing.provide(block)
    }

    fn load_all(&mut self) -> Result<(), Failure> {
        self.missing.demand.wait(HEAD_START.into());
        while let Some(block) = self.missing.next() {
            self.load(block)?;
        }
        Ok(())
    }
}

/// A thread that loads the rest while the guest runs.
pub struct Loading {
    failure: Arc<OnceLock<Outcome>>,
}

impl Loading {
    /// Starts it. `stops` becomes readable if it fails.
    pub fn start(mut rest: Rest, stops: Arc<EventFd>) -> io::Result<Self> {
        let failure = Arc::new(OnceLock::new());
        let loading = Self { failure: failure.clone() };
        thread::Builder::new().name("loader".to_owned()).spawn(move || {
            if let Err(error) = rest.load_all() {
                let _ = failure.set(error.into());
                // Never full: one count.
                let _ = stops.write(1);
                // Meanwhile the process ends. A vCPU that waits must not go on with zeroes before that.
                thread::sleep(LAST_WAIT);
                drop(rest);
            }
        })?;
        Ok(loading)
    }

    /// Why the guest cannot go on, if so. Its vCPUs may wait inside the kernel then, where nothing but the end of the
    /// process reaches them.
    pub fn failure(&self) -> Option<&Outcome> {
        self.failure.get()
    }
}

/// Why something could not be loaded.
enum Failure {
    File(LoadError),
    Host(String),
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        Self::File(error)
    }
}

impl From<Failure> for Outcome {
    fn from(failure: Failure) -> Self {
        Self::HostFailed(match failure {
            Failure::File(error) => chain(&error),
            Failure::Host(what) => what,
        })
    }
}
