//! Where the kernel is: what is known of it from outside, and what its memory says.

use std::cell::OnceCell;
use std::ops::Range;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, LazyLock};
use std::thread::JoinHandle;
use std::time::Duration;

use super::link::LinkMap;
use super::scout::Report;
use crate::arch::linux::PANIC;
use crate::kvm::memory::Memory;
use crate::message::say;

/// Bytes from `_text` to `_stext`, unless the symbols say otherwise: SEGMENT_ALIGN.
const USUAL_CODE: u64 = 0x1_0000;

/// For how long a client is kept waiting: GDB gives a connection up after three times two seconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// Read when they are first asked for, and not again.
pub type LazySymbols = LazyLock<Option<Symbols>, Box<dyn FnOnce() -> Option<Symbols> + Send>>;

/// What is known of the kernel from outside.
pub struct Program {
    /// Path of the file with its symbols.
    pub vmlinux: Option<String>,
    /// Where it lies in physical memory, BSS included. Empty if it is no Linux.
    pub image: Range<u64>,
    /// What its symbols tell.
    pub symbols: Arc<LazySymbols>,
    /// How far it will run from where it was linked to.
    pub prediction: Prediction,
}

/// How far a kernel will run from where it was linked to.
pub enum Prediction {
    /// It stays where it was linked to.
    Fixed,
    /// Nobody can tell.
    None,
    /// Somebody has set out to see.
    Awaited(Awaited),
}

/// What another thread finds out. That ends, and all it has made, when this is dropped.
pub struct Awaited {
    answer: Receiver<Report>,
    /// Ends the scout's guest.
    recall: Sender<Report>,
    known: OnceCell<Option<u64>>,
    thread: Option<JoinHandle<()>>,
}

impl Awaited {
    /// The `answer` of a thread that a report to `recall` brings home.
    pub fn new(answer: Receiver<Report>, recall: Sender<Report>, thread: JoinHandle<()>) -> Self {
        Self { answer, recall, known: OnceCell::new(), thread: Some(thread) }
    }

    /// What was found, waited for as long as clients do. Why there is nothing is said once.
    fn get(&self) -> Option<u64> {
        if let Some(known) = self.known.get() {
            return *known;
        }
        let found = match self.answer.recv_timeout(PATIENCE) {
            Ok(found) => found,
            Err(RecvTimeoutError::Timeout) => return None,
            Err(RecvTimeoutError::Disconnected) => Err("its thread has failed".to_owned()),
        };
        let found = found.inspect_err(|why| {
            say(format_args!("it is not known where the kernel will be before it is there: {why}"));
        });
        *self.known.get_or_init(|| found.ok())
    }
}

impl Drop for Awaited {
    fn drop(&mut self) {
        // It may have come home.
        let _ = self.recall.send(Err("nobody asks any more".to_owned()));
        if let Some(thread) = self.thread.take() {
            // A panic has been reported where it happened.
            let _ = thread.join();
        }
    }
}

/// Addresses as linked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Symbols {
    /// `_text`, the start of the Image.
    pub text: u64,
    /// `_stext`, from which on the kernel's own tables translate it.
    pub code: Option<u64>,
    /// `kimage_voffset`.
    pub voffset: Option<u64>,
    /// `start_kernel`.
    pub start_kernel: Option<u64>,
    /// The function by which the kernel panics.
    pub panic: Option<u64>,
}

impl Symbols {
    /// The symbols that are looked for. Of two names for one thing the first counts.
    pub const NAMES: [&str; 6] =
        ["_text", "_stext", "kimage_voffset", "start_kernel", PANIC[0], PANIC[1]];

    /// What was found of [`Self::NAMES`] in a file that begins at `base`.
    pub fn of(found: [Option<u64>; 6], base: u64) -> Self {
        let [text, code, voffset, start_kernel, inner_panic, panic] = found;
        let panic = inner_panic.or(panic);
        Self { text: text.unwrap_or(base), code, voffset, start_kernel, panic }
    }
}

impl Program {
    /// How far it runs from where it was linked to, if that is known by now.
    fn slide(&self, memory: &Memory) -> Option<u64> {
        self.seen(memory).or_else(|| match &self.prediction {
            Prediction::Fixed => Some(0),
            Prediction::None => None,
            Prediction::Awaited(awaited) => {
                let text = (**self.symbols)?.text;
                awaited.get().filter(|slide| self.is_plausible(text, *slide))
            }
        })
    }

    /// What the guest itself says: once it has relocated itself, `kimage_voffset` is the distance from its
    /// physical to its virtual addresses (Linux, `__primary_switched`).
    fn seen(&self, memory: &Memory) -> Option<u64> {
        let Symbols { text, voffset, .. } = (**self.symbols)?;
        let at = voffset?.checked_sub(text)?.checked_add(self.image.start)?;
        let voffset = memory.read_u64(at).filter(|voffset| *voffset != 0)?;
        let slide = voffset.wrapping_add(self.image.start).wrapping_sub(text);
        self.is_plausible(text, slide).then_some(slide)
    }

    /// Whether a kernel can be that far from where it was linked to: by whole pages, and in the upper half.
    fn is_plausible(&self, text: u64, slide: u64) -> bool {
        let start = text.wrapping_add(slide);
        let end = start.checked_add(self.image.end - self.image.start);
        slide.is_multiple_of(0x1000) && start >> 52 == 0xfff && end.is_some()
    }

    /// The Image by its addresses, as far as they are known from outside and by what is in memory.
    pub fn link_map(&self, memory: &Memory) -> LinkMap {
        let image = LinkMap {
            image: self.image.start,
            size: self.image.end - self.image.start,
            code: USUAL_CODE,
            ..LinkMap::default()
        };
        let Some(Symbols { text, code, .. }) = **self.symbols else { return image };
        let slide = self.slide(memory);
        LinkMap {
            text: slide.map(|slide| text.wrapping_add(slide)),
            link: Some(text),
            code: code.map_or(USUAL_CODE, |code| code.saturating_sub(text)),
            ..image
        }
    }

    /// Where the kernel panics, as far as that is known.
    pub fn panic_address(&self, memory: &Memory) -> Option<u64> {
        let panic = (**self.symbols)?.panic?;
        Some(panic.wrapping_add(self.slide(memory)?))
    }

    /// How far it runs from where it was linked to, wherever that is.
    pub fn fixed_slide(&self) -> Option<u64> {
        matches!(self.prediction, Prediction::Fixed).then_some(0)
    }
}
