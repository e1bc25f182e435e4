//! The console's way out: a bounded queue between the UART, or a virtio console, and standard output, or standard error.
//!
//! A thread of its own writes, so that a reader that does not read stops neither the vCPUs' threads
//! nor the event loop: the queue fills, the device says it is full, and the guest waits.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use devices::virtio::console::Terminal;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use super::Uart;
use crate::exit::Outcome;
use crate::lines::Lines;
use crate::log::Log;
use crate::memoir::Memoir;
use crate::reader::Reader;

/// Bytes that may wait for a slow reader.
const CAPACITY: usize = 64 << 10;

/// How long the end of a line is waited for. Guests send byte by byte, and to wake a thread and write
/// for each of them costs a tenth of a boot's time (docs/performance.md); nobody sees a prompt come
/// this much later.
const LINE_WAIT: Duration = Duration::from_millis(1);

/// How long a line that is not ended has to stand still to be taken for a prompt.
const PAUSE: Duration = Duration::from_millis(100);

/// Where the guest's console output goes.
pub struct Output {
    state: Mutex<State>,
    changed: Condvar,
    news: EventFd,
    /// Of the thread that writes, while there is output.
    reader: Mutex<Reader>,
}

#[derive(Default)]
struct State {
    queue: Vec<u8>,
    /// Where in the queue another guest begins.
    anew: Option<usize>,
    is_writing: bool,
    /// Guests that have begun anew, and how many of them the reader knows of.
    guests: u32,
    known: u32,
    /// A device holds bytes back until there is room.
    is_full: bool,
    /// The UART is asked for bytes, instead of waiting for them.
    is_burst: bool,
    lines: Lines,
    panic: Panic,
    /// When the first byte came.
    began: Option<Instant>,
    news: Vec<News>,
}

/// What is written at once.
struct Batch {
    bytes: Vec<u8>,
    /// Where in it another guest begins.
    anew: Option<usize>,
    /// Up to which of [`State::guests`] it goes.
    guests: u32,
    was_full: bool,
}

/// How far a panic of the guest's kernel has come.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
enum Panic {
    #[default]
    None,
    /// The kernel told of it, by a line or by pvpanic.
    Told,
    /// The guest was stopped for it.
    Held,
}

/// Something in the output, or about it, that the event loop should know.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum News {
    /// The guest's kernel panicked and has said all it has to say.
    PanicEnded,
    /// The guest's kernel tells that it panicked, by pvpanic.
    Panicked,
    /// A line was matched: see [`Output::verdict`].
    Judged,
    /// Its reader takes no more.
    Closed(io::ErrorKind),
}

impl Output {
    /// An empty queue; nothing is written before [`Self::start`].
    pub fn new(reader: Reader) -> io::Result<Arc<Self>> {
        Ok(Arc::new(Self {
            state: Mutex::default(),
            changed: Condvar::new(),
            news: EventFd::new(EFD_NONBLOCK)?,
            reader: Mutex::new(reader),
        }))
    }

    /// Starts the thread that writes to the log and to `sink`.
    pub fn start(
        self: &Arc<Self>,
        log: Log,
        sink: impl Write + AsFd + Send + 'static,
        uart: Uart,
        port: Option<Arc<Terminal>>,
    ) -> io::Result<()> {
        let output = self.clone();
        let thread = thread::Builder::new().name("console".to_owned());
        thread.spawn(move || output.write_all(log, sink, &uart, port.as_deref()))?;
        Ok(())
    }

    /// Queues what fits and returns how much that was.
    pub fn push(&self, bytes: &[u8]) -> usize {
        let mut state = self.lock();
        let was_empty = state.queue.is_empty();
        state.began.get_or_insert_with(Instant::now);
        let taken = bytes.len().min(CAPACITY.saturating_sub(state.queue.len()));
        let bytes_taken = bytes.get(..taken).unwrap_or_default();
        state.queue.extend(bytes_taken);
        self.look_at(&mut state, bytes_taken);
        state.is_full |= taken < bytes.len();
        // What the writer waits for; a system call per byte would be wasted on it.
        let is_awaited = was_empty || bytes_taken.contains(&b'\n');
        if state.is_full || is_awaited && !state.is_burst {
            self.changed.notify_all();
        }
        taken
    }

    /// Waits until everything queued is written, at most as long as `limit`.
    pub fn flush(&self, limit: Duration) {
        let busy = |state: &mut State| state.is_writing || !state.queue.is_empty();
        let waited = self.changed.wait_timeout_while(self.lock(), limit, busy);
        drop(waited);
    }

    /// Becomes readable when there is something for [`Self::take_news`].
    pub fn news_fd(&self) -> &EventFd {
        &self.news
    }

    /// What happened since this was last asked.
    pub fn take_news(&self) -> Vec<News> {
        // EAGAIN: nothing new.
        let _ = self.news.read();
        std::mem::take(&mut self.lock().news)
    }

    /// Another guest talks from here on: what this one said has no meaning for it.
    pub fn begin_anew(&self) {
        let mut state = self.lock();
        state.anew = Some(state.queue.len());
        state.guests = state.guests.wrapping_add(1);
        state.began = None;
        state.lines = Lines::default();
        state.panic = Panic::None;
        state.is_burst = false;
        state.news.retain(|news| !matches!(news, News::PanicEnded | News::Panicked));
    }

    /// Whether the UART is to be asked for bytes, once a tick of a millisecond.
    pub fn set_burst(&self, is_burst: bool) {
        self.lock().is_burst = is_burst;
        self.changed.notify_all();
    }

    /// Whether the guest's kernel said that it panicked.
    pub fn has_panicked(&self) -> bool {
        self.lock().panic >= Panic::Told
    }

    /// The guest's kernel tells that it panicked. `is_end`: no other one takes over.
    pub fn note_panic(&self, is_end: bool) {
        let mut state = self.lock();
        state.panic = state.panic.max(Panic::Told);
        if is_end {
            self.announce(&mut state, News::Panicked);
        }
    }

    /// The guest is stopped for whoever wants to look at its panic. False if it was before.
    pub fn note_held(&self) -> bool {
        std::mem::replace(&mut self.lock().panic, Panic::Held) != Panic::Held
    }

    /// Whether it was.
    pub fn is_held(&self) -> bool {
        self.lock().panic == Panic::Held
    }

    /// What `--until` or `--fail-on` has matched of what is written. With `is_over`, nothing more will come.
    pub fn verdict(&self, is_over: bool) -> Option<Outcome> {
        let mut reader = self.reader();
        if is_over {
            reader.pause();
        }
        reader.verdict()
    }

    /// When the guest's first byte came, and what it has said until now.
    pub fn story(&self) -> (Option<Instant>, Memoir) {
        let (began, is_news) = {
            let state = self.lock();
            (state.began, state.known != state.guests)
        };
        let memoir = if is_news { Memoir::default() } else { self.reader().memoir() };
        (began, memoir)
    }

    fn reader(&self) -> MutexGuard<'_, Reader> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Once is enough, however often a guest says it before the event loop looks.
    fn announce(&self, state: &mut State, news: News) {
        if !state.news.contains(&news) {
            state.news.push(news);
        }
        // Counts up; never full.
        let _ = self.news.write(1);
    }

    fn write_all(
        &self,
        mut log: Log,
        mut sink: impl Write + AsFd,
        uart: &Uart,
        port: Option<&Terminal>,
    ) {
        let mut is_open = true;
        loop {
            self.wait_for_output();
            if self.wait_for_line() {
                uart.lock().unwrap_or_else(PoisonError::into_inner).tick();
            }
            let Batch { bytes, anew, guests, was_full } = self.next_batch();
            if bytes.is_empty() {
                // A tick in which nothing came.
                continue;
            }
            log.keep(&bytes);
            if is_open && let Err(error) = write_blocking(&mut sink, &bytes) {
                is_open = false;
                self.announce(&mut self.lock(), News::Closed(error.kind()));
            }
            if self.reader().read_anew(&bytes, anew) {
                self.announce(&mut self.lock(), News::Judged);
            }
            if was_full {
                uart.lock().unwrap_or_else(PoisonError::into_inner).transmit_ready();
                if let Some(port) = port {
                    port.transmit_ready();
                }
            }
            let mut state = self.lock();
            state.is_writing = false;
            state.known = guests;
            drop(state);
            self.changed.notify_all();
        }
    }

    /// Waits until there is something to write, or a burst. Where the reader wants to know, it hears of a pause.
    fn wait_for_output(&self) {
        let idle = |state: &mut State| state.queue.is_empty() && !state.is_burst;
        let awaits_pause = self.reader().awaits_pause();
        let mut state = self.lock();
        if awaits_pause {
            let waited = self.changed.wait_timeout_while(state, PAUSE, idle);
            let (ended, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            state = ended;
            if timeout.timed_out() && self.reader().pause() {
                self.announce(&mut state, News::Judged);
            }
        }
        drop(self.changed.wait_while(state, idle));
    }

    /// Waits for the end of the line, or for the next tick of a burst. True if there is a burst.
    fn wait_for_line(&self) -> bool {
        let early = |state: &mut State| {
            state.is_burst || state.queue.last() != Some(&b'\n') && !state.is_full
        };
        let waited = self.changed.wait_timeout_while(self.lock(), LINE_WAIT, early);
        waited.unwrap_or_else(PoisonError::into_inner).0.is_burst
    }

    fn next_batch(&self) -> Batch {
        let mut state = self.lock();
        state.is_writing = !state.queue.is_empty();
        Batch {
            anew: if state.is_writing { state.anew.take() } else { None },
            guests: state.guests,
            bytes: std::mem::take(&mut state.queue),
            was_full: std::mem::take(&mut state.is_full),
        }
    }

    /// Linux frames a panic in two lines (kernel/panic.c), the second after the stack dump and only
    /// where it does not reboot.
    fn look_at(&self, state: &mut State, bytes: &[u8]) {
        const PANIC: &[u8] = b"Kernel panic - not syncing";
        const END: &[u8] = b"---[ end Kernel panic - not syncing";
        let mut lines = std::mem::take(&mut state.lines);
        lines.feed(bytes, |line| {
            if contains(line, PANIC) {
                state.panic = state.panic.max(Panic::Told);
            }
            if contains(line, END) {
                self.announce(state, News::PanicEnded);
            }
        });
        state.lines = lines;
    }
}

/// Writes all of `bytes`, also to a terminal that somebody else has made non-blocking.
fn write_blocking(sink: &mut (impl Write + AsFd), mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match sink.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(len) => bytes = bytes.get(len..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let mut sinks = [PollFd::new(sink.as_fd(), PollFlags::POLLOUT)];
                poll(&mut sinks, PollTimeout::NONE)?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn contains(line: &[u8], wanted: &[u8]) -> bool {
    line.windows(wanted.len()).any(|window| window == wanted)
}
