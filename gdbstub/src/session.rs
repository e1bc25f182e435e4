//! One client's conversation, from its connection to its going (RSP manual, Packets).
//!
//! All-stop mode: the target runs as a whole or stands as a whole, and between a resume and its
//! stop reply the client may only interrupt. `k` and `vKill` are taken as well, for they end the
//! conversation; anything else meanwhile is a client's mistake and gets an error at once, so that
//! its replies still match its packets.

mod features;
mod link;
mod lldb;
mod machine;
mod memory;
mod query;
mod registers;
mod run;
mod threads;

use std::mem;

use crate::command::{ClientFeatures, Command};
use crate::packet::{Decoder, Event};
use crate::reply::{Error, ErrorStyle, Reply};
use crate::stop::{Stop, StopReason};
use crate::target::{Target, TargetError, Tid};
use crate::thread_id::{Part, ThreadId};

pub use features::{FEATURES, Feature};
use link::Link;
use lldb::Lldb;

/// What becomes of the connection.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
#[must_use]
pub enum Flow {
    /// It goes on.
    Continue,
    /// The client detached: send what is in `out`, then close. The target runs on.
    Detached,
    /// The client killed the target: send what is in `out`, then close.
    Killed,
}

/// The target, as the client knows it.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum State {
    /// Stopped. The client may look at it.
    Stopped,
    /// Running. The client waits for a stop reply.
    Running,
    /// Running, and the client has detached; it stays because of extended mode.
    Detached,
    /// Killed, or ended by itself.
    Gone,
}

/// One client's conversation.
#[derive(Debug)]
pub struct Session {
    // The transport.
    decoder: Decoder,
    link: Link,
    // What the client has set.
    client: ClientFeatures,
    lldb: Lldb,
    /// `!`: the connection outlives the target.
    is_extended: bool,
    /// `vRun`: the target is there because the client wanted it.
    has_run_target: bool,
    /// `Qqemu.PhyMemMode`: addresses of memory are physical ones.
    is_physical: bool,
    /// `Hg`: the thread that registers and memory are read through.
    selected: Tid,
    /// `Hc`: the threads that `c` and `s` resume.
    resume: ThreadId,
    // The target.
    state: State,
    last_stop: Stop,
}

impl Session {
    /// A client has connected to a target that is stopped; `initial` answers its first `?`.
    pub fn new(initial: Stop) -> Self {
        Self {
            decoder: Decoder::default(),
            link: Link::default(),
            client: ClientFeatures::default(),
            lldb: Lldb::default(),
            is_extended: false,
            has_run_target: false,
            is_physical: false,
            selected: initial.tid,
            resume: ThreadId { process: Part::Any, thread: Part::Any },
            state: State::Stopped,
            last_stop: initial,
        }
    }

    /// Takes bytes from the client, in any fragmentation, and appends the replies to `out`.
    ///
    /// A packet adds one reply at most (a resume that the target refuses two, a monitor command as
    /// many as its output takes), of [`PACKET_SIZE`](crate::packet::PACKET_SIZE) data bytes at most,
    /// each of which may be escaped, while the target's own texts are short; feed no more at a time
    /// than the replies may take up memory.
    ///
    /// Once it has returned anything but [`Flow::Continue`] the session is over, and bytes after
    /// the packet that ended it are dropped.
    pub fn receive(&mut self, bytes: &[u8], target: &mut dyn Target, out: &mut Vec<u8>) -> Flow {
        // Out of `self`, because a packet borrows the decoder while the rest of `self` obeys it.
        let mut decoder = mem::take(&mut self.decoder);
        let mut flow = Flow::Continue;
        for byte in bytes {
            flow = match decoder.push(*byte) {
                Some(event) => self.on_event(event, target, out),
                None => Flow::Continue,
            };
            if flow != Flow::Continue {
                break;
            }
        }
        self.decoder = decoder;
        flow
    }

    /// The target stopped: appends the stop reply to `out` if the client is waiting for one, else
    /// keeps it for the next `?`. A stop that crossed the client's `k` is nothing to it.
    pub fn stopped(&mut self, stop: Stop, target: &mut dyn Target, out: &mut Vec<u8>) {
        if self.state == State::Gone {
            return;
        }
        self.last_stop = stop;
        self.selected = stop.tid;
        let is_end = matches!(stop.reason, StopReason::Exited(_));
        let next = if is_end { State::Gone } else { State::Stopped };
        let last = mem::replace(&mut self.state, next);
        if last == State::Running {
            let reply = self.stop_reply(target, stop);
            self.send(reply, out);
        }
    }

    /// Whether words for the client to show need not wait: it waits for a stop, and those before
    /// have arrived.
    pub fn takes_words(&self) -> bool {
        self.state == State::Running && self.link.is_idle()
    }

    /// Appends words for the client to show. They are lost, and the result is false, unless it waits
    /// for a stop.
    pub fn console(&mut self, text: &str, out: &mut Vec<u8>) -> bool {
        let is_heard = self.state == State::Running;
        if is_heard {
            self.print(text, out);
        }
        is_heard
    }

    /// Whether the client has resumed the target and not been told of a stop since.
    pub fn is_running(&self) -> bool {
        matches!(self.state, State::Running | State::Detached)
    }

    /// Whether the client may want to start a target again that has ended.
    pub fn outlives_target(&self) -> bool {
        self.is_extended
    }

    /// Whether there is no target any more: the client killed it, or it has ended.
    pub fn has_outlived_target(&self) -> bool {
        self.state == State::Gone
    }

    fn on_event(&mut self, event: Event<'_>, target: &mut dyn Target, out: &mut Vec<u8>) -> Flow {
        match event {
            Event::Packet(data) => {
                self.link.accept(out);
                return self.obey(data, target, out);
            }
            // A NAK would only have it sent again.
            Event::TooLong => {
                self.link.accept(out);
                self.send_error(&Error::TooLong, out);
            }
            Event::BadChecksum => {
                if !self.link.refuse(out) {
                    self.send_error(&Error::Checksum, out);
                }
            }
            Event::Ack => self.link.arrived(out),
            Event::Nak => self.link.send_again(out),
            // "Interrupts received while the program is stopped are discarded" (RSP manual,
            // Interrupts): the stop reply and the interrupt crossed.
            Event::Interrupt if self.state == State::Running => target.interrupt(),
            Event::Interrupt => {}
        }
        Flow::Continue
    }

    fn obey(&mut self, data: &[u8], target: &mut dyn Target, out: &mut Vec<u8>) -> Flow {
        let command = Command::parse(data);
        let end = match command {
            _ if self.is_extended => Flow::Continue,
            Ok(Command::Detach { .. }) => Flow::Detached,
            Ok(Command::Kill | Command::KillProcess { .. }) => Flow::Killed,
            _ => Flow::Continue,
        };
        let is_resume = matches!(command, Ok(Command::VCont(_) | Command::Resume { .. }));
        match command.map_err(Error::from).and_then(|command| self.execute(command, target, out)) {
            Ok(reply) => {
                self.send(reply, out);
                end
            }
            Err(Error::Target(error)) if is_resume => {
                self.refuse_resume(&error, target, out);
                Flow::Continue
            }
            Err(error) => {
                self.send_error(&error, out);
                Flow::Continue
            }
        }
    }

    fn send(&mut self, reply: Reply, out: &mut Vec<u8>) {
        if let Some(data) = reply.data() {
            self.link.send(&data, out);
        }
    }

    fn send_error(&mut self, error: &Error, out: &mut Vec<u8>) {
        self.link.send(&error.data(self.error_style()), out);
    }

    fn error_style(&self) -> ErrorStyle {
        match (self.client.error_message, self.lldb.error_strings) {
            (true, _) => ErrorStyle::Text,
            (false, true) => ErrorStyle::NumberAndText,
            (false, false) => ErrorStyle::Number,
        }
    }

    /// Whether the target is as a command needs it.
    fn check_state(&self, command: &Command<'_>) -> Result<(), Error> {
        match self.state {
            _ if command.is_for_any_time() => Ok(()),
            State::Stopped => Ok(()),
            State::Running => Err(Error::Running),
            State::Detached | State::Gone if command.is_for_no_target() => Ok(()),
            State::Detached | State::Gone => Err(Error::NoTarget),
        }
    }

    /// Obeys one command; in the order of [`Command`].
    fn execute(
        &mut self,
        command: Command<'_>,
        target: &mut dyn Target,
        out: &mut Vec<u8>,
    ) -> Result<Reply, Error> {
        self.check_state(&command)?;
        match command {
            Command::Supported(client) => Ok(self.supported(target, client)),
            Command::StartNoAckMode => Ok(self.start_no_ack_mode()),
            Command::Extend => Ok(self.extend()),
            Command::HaltReason => Ok(self.halt_reason(target)),
            Command::ReadObject { object, offset, length } => {
                self.read_object(target, object, offset, length)
            }
            Command::Symbol => Ok(Reply::Ok),
            Command::Offsets => Ok(query::offsets(target, self.lldb.is_here)),
            Command::Monitor(command) => self.monitor(target, &command.decode(), out),

            Command::SelectThread(id) => self.select_thread(target, id),
            Command::SelectResumeThread(id) => self.select_resume_thread(target, id),
            Command::IsThreadAlive(id) => threads::find(target, id).map(|_| Reply::Ok),
            Command::CurrentThread => Ok(self.current_thread()),
            Command::FirstThreadInfo => Ok(self.first_thread_info(target)),
            Command::NextThreadInfo => Ok(Reply::Text("l".to_owned())),
            Command::ThreadExtraInfo(id) => threads::extra_info(target, id),

            Command::ReadRegisters { thread } => self.read_registers(target, thread),
            Command::WriteRegisters { values, thread } => {
                self.write_registers(target, values, thread)
            }
            Command::ReadRegister { number, thread } => self.read_register(target, number, thread),
            Command::WriteRegister { number, value, thread } => {
                self.write_register(target, number, value, thread)
            }

            Command::ReadMemory { addr, length } => self.read_memory(target, addr, length),
            Command::ReadBinary { addr, length } => self.read_binary(target, addr, length),
            Command::WriteMemory { addr, data } => self.write_memory(target, addr, data),
            Command::Search { addr, length, pattern } => self.search(target, addr, length, pattern),
            Command::Checksum { addr, length } => self.checksum(target, addr, length),

            Command::QemuFeatures => Ok(Reply::Text("PhyMemMode".to_owned())),
            Command::IsPhysical => {
                Ok(Reply::Text(if self.is_physical { "1" } else { "0" }.to_owned()))
            }
            Command::SetPhysical(is_physical) => {
                self.is_physical = is_physical;
                Ok(Reply::Ok)
            }

            Command::Insert { point, agent } => self.insert(target, point, agent),
            Command::Remove(point) => stoppoint(target.remove(self.selected, point)),

            Command::VContActions => Ok(Reply::Text("vCont;c;C;s;S;t;r".to_owned())),
            Command::VCont(actions) => self.v_cont(target, &actions),
            Command::Resume { action, addr } => self.resume(target, action, addr),
            Command::CtrlC => Ok(self.ctrl_c(target)),

            Command::Attached => Ok(self.attached()),
            Command::Attach { process } => self.attach(target, process),
            Command::Run => self.run_again(target),
            Command::Restart => self.restart(target),
            Command::Detach { process } => self.detach(target, process),
            Command::KillProcess { process } => self.kill_process(target, process),
            Command::Kill => Ok(self.kill(target)),

            Command::Describe(what) => Ok(lldb::describe(target, what)),
            Command::ThreadSuffix => Ok(self.set_lldb(|lldb| lldb.is_here = true)),
            Command::ListThreads => Ok(self.set_lldb(|lldb| lldb.list_threads = true)),
            Command::ErrorStrings => Ok(self.set_lldb(|lldb| lldb.error_strings = true)),
            Command::RegisterInfo { number } => lldb::register_info(target, number),
            Command::ThreadsInfo => Ok(self.threads_info(target)),
            Command::ThreadStopInfo(id) => self.thread_stop_info(target, id),
            Command::MemoryRegion { addr } => self.memory_region(target, addr),
            Command::WatchpointSupport => Ok(Reply::Text(format!("num:{};", target.watchpoints()))),
            Command::Allocate => Err(Error::NoMemoryToGive),

            Command::Unknown => Ok(Reply::Empty),
        }
    }

    fn start_no_ack_mode(&mut self) -> Reply {
        self.link.stop_acknowledging();
        Reply::Ok
    }

    fn set_lldb(&mut self, set: impl FnOnce(&mut Lldb)) -> Reply {
        set(&mut self.lldb);
        Reply::Ok
    }
}

/// `Z` and `z` of a type the target does not know are packets the stub does not know.
fn stoppoint(result: Result<(), TargetError>) -> Result<Reply, Error> {
    match result {
        Ok(()) => Ok(Reply::Ok),
        Err(TargetError::Unsupported) => Ok(Reply::Empty),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests;
