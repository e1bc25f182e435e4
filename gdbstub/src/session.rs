//! One client's conversation, from its connection to its going (RSP manual, Packets).
//!
//! All-stop mode: the target runs as a whole or stands as a whole, and between a resume and its
//! stop reply the client may only interrupt. `k` and `vKill` are taken as well, for they end the
//! conversation; anything else meanwhile is a client's mistake and gets an error at once, so that
//! its replies still match its packets.

mod link;
mod memory;
mod query;
mod registers;
mod run;
mod threads;

use std::mem;

use crate::aarch64::Register;
use crate::command::{ClientFeatures, Command};
use crate::packet::{Decoder, Event};
use crate::reply::{Error, Reply};
use crate::stop::Stop;
use crate::target::{Target, TargetError, Tid};
use crate::thread_id::{PROCESS, Part, ThreadId};

use link::Link;

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

/// One client's conversation.
#[derive(Debug)]
pub struct Session {
    // The transport.
    decoder: Decoder,
    link: Link,
    // What the client has set.
    client: ClientFeatures,
    /// `Hg`: the thread that registers and memory are read through.
    selected: Tid,
    /// `Hc`: the threads that `c` and `s` resume.
    resume: ThreadId,
    // The target, as the client knows it.
    last_stop: Stop,
    running: bool,
}

impl Session {
    /// A client has connected to a target that is stopped; `initial` answers its first `?`.
    pub fn new(initial: Stop) -> Self {
        Self {
            decoder: Decoder::default(),
            link: Link::default(),
            client: ClientFeatures::default(),
            selected: initial.tid,
            resume: ThreadId { process: Part::Any, thread: Part::Any },
            last_stop: initial,
            running: false,
        }
    }

    /// Takes bytes from the client, in any fragmentation, and appends the replies to `out`.
    ///
    /// A packet adds one reply at most (a resume that the target refuses two), of [`PACKET_SIZE`](crate::packet::PACKET_SIZE) data bytes
    /// at most while the target's own texts are short; feed no more at a time than the replies
    /// may take up memory.
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
    /// keeps it for the next `?`.
    pub fn stopped(&mut self, stop: Stop, target: &mut dyn Target, out: &mut Vec<u8>) {
        self.last_stop = stop;
        self.selected = stop.tid;
        if mem::take(&mut self.running) {
            let reply = self.halt_reason(target);
            self.send(reply, out);
        }
    }

    /// Whether the client has resumed the target and not been told of a stop since.
    pub fn is_running(&self) -> bool {
        self.running
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
            Event::Ack => self.link.arrived(),
            Event::Nak => self.link.send_again(out),
            // "Interrupts received while the program is stopped are discarded" (RSP manual,
            // Interrupts): the stop reply and the interrupt crossed.
            Event::Interrupt if self.running => target.interrupt(),
            Event::Interrupt => {}
        }
        Flow::Continue
    }

    fn obey(&mut self, data: &[u8], target: &mut dyn Target, out: &mut Vec<u8>) -> Flow {
        let command = Command::parse(data);
        let end = match command {
            Ok(Command::Detach { .. }) => Flow::Detached,
            Ok(Command::Kill | Command::KillProcess { .. }) => Flow::Killed,
            _ => Flow::Continue,
        };
        let is_resume = matches!(command, Ok(Command::VCont(_) | Command::Resume { .. }));
        match command.map_err(Error::from).and_then(|command| self.execute(command, target)) {
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
        self.link.send(&error.data(self.client.error_message), out);
    }

    /// Obeys one command; in the order of [`Command`].
    fn execute(&mut self, command: Command<'_>, target: &mut dyn Target) -> Result<Reply, Error> {
        let any_time =
            matches!(command, Command::CtrlC | Command::Kill | Command::KillProcess { .. });
        if self.running && !any_time {
            return Err(Error::Running);
        }
        match command {
            Command::Supported(client) => Ok(self.supported(client)),
            Command::StartNoAckMode => Ok(self.start_no_ack_mode()),
            Command::HaltReason => Ok(self.halt_reason(target)),
            Command::ReadObject { object, offset, length } => {
                self.read_object(target, object, offset, length)
            }
            Command::Symbol => Ok(Reply::Ok),

            Command::SelectThread(id) => self.select_thread(target, id),
            Command::SelectResumeThread(id) => self.select_resume_thread(target, id),
            Command::IsThreadAlive(id) => threads::find(target, id).map(|_| Reply::Ok),
            Command::CurrentThread => Ok(self.current_thread()),
            Command::FirstThreadInfo => Ok(self.first_thread_info(target)),
            Command::NextThreadInfo => Ok(Reply::Text("l".to_owned())),
            Command::ThreadExtraInfo(id) => threads::extra_info(target, id),

            Command::ReadRegisters => self.read_registers(target),
            Command::WriteRegisters(values) => self.write_registers(target, values),
            Command::ReadRegister { number } => self.read_register(target, number),
            Command::WriteRegister { number, value } => self.write_register(target, number, value),

            Command::ReadMemory { addr, length } => self.read_memory(target, addr, length),
            Command::WriteMemory { addr, data } => self.write_memory(target, addr, data),

            Command::Insert(point) => stoppoint(target.insert(self.selected, point)),
            Command::Remove(point) => stoppoint(target.remove(self.selected, point)),

            Command::VContActions => Ok(Reply::Text("vCont;c;C;s;S;r".to_owned())),
            Command::VCont(actions) => self.v_cont(target, &actions),
            Command::Resume { action, addr } => self.resume(target, action, addr),
            Command::CtrlC => Ok(self.ctrl_c(target)),

            Command::Attached => Ok(Reply::Text("1".to_owned())),
            Command::Detach { process } => self.detach(target, process),
            Command::KillProcess { process } => self.kill_process(target, process),
            Command::Kill => {
                target.kill();
                Ok(Reply::None)
            }

            Command::Unknown => Ok(Reply::Empty),
        }
    }

    fn start_no_ack_mode(&mut self) -> Reply {
        self.link.stop_acknowledging();
        Reply::Ok
    }

    /// Registers the target will not give are left out; the client asks for them by itself.
    fn halt_reason(&self, target: &mut dyn Target) -> Reply {
        let tid = self.last_stop.tid;
        let registers = Register::core()
            .filter_map(|reg| target.read_register(tid, reg).ok().map(|value| (reg, value)));
        Reply::Text(self.last_stop.reply(self.client, registers))
    }

    fn detach(&self, target: &mut dyn Target, process: Option<u64>) -> Result<Reply, Error> {
        self.check_process(process.unwrap_or(PROCESS))?;
        target.detach();
        Ok(Reply::Ok)
    }

    fn kill_process(&self, target: &mut dyn Target, process: u64) -> Result<Reply, Error> {
        self.check_process(process)?;
        target.kill();
        Ok(Reply::Ok)
    }

    /// Without `multiprocess` the client was never told of a process 1. GDB then makes a number
    /// up, 42000, and means the one there is.
    fn check_process(&self, process: u64) -> Result<(), Error> {
        if self.client.multiprocess && process != PROCESS {
            return Err(Error::NoSuchProcess);
        }
        Ok(())
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
