//! The target's life: `?`, `!`, `vRun`, `R`, `vAttach`, `D`, `vKill`, `k` (RSP manual, Packets).

use crate::reply::{Error, Reply};
use crate::session::{Session, State};
use crate::stop::{SIGTRAP, Stop, StopReason};
use crate::target::{Target, Tid};
use crate::thread_id::PROCESS;

impl Session {
    pub(super) fn extend(&mut self) -> Reply {
        self.is_extended = true;
        Reply::Ok
    }

    pub(super) fn halt_reason(&self, target: &mut dyn Target) -> Reply {
        match self.state {
            // So gdbserver says that there is no process.
            State::Detached | State::Gone => Reply::Text("W00".to_owned()),
            State::Stopped | State::Running => self.stop_reply(target, self.last_stop),
        }
    }

    /// By this GDB decides whether to kill or to detach when its user quits.
    pub(super) fn attached(&self) -> Reply {
        Reply::Text(if self.has_run_target { "0" } else { "1" }.to_owned())
    }

    /// The reply is the stop at the first instruction.
    pub(super) fn run_again(&mut self, target: &mut dyn Target) -> Result<Reply, Error> {
        target.restart()?;
        let stop = Stop { tid: Tid::FIRST, reason: StopReason::Signal(SIGTRAP) };
        self.state = State::Stopped;
        self.has_run_target = true;
        self.selected = stop.tid;
        self.last_stop = stop;
        Ok(self.stop_reply(target, stop))
    }

    /// "The ‘R’ packet has no reply" (RSP manual, Packets, "R"), and is for extended mode alone.
    pub(super) fn restart(&mut self, target: &mut dyn Target) -> Result<Reply, Error> {
        if !self.is_extended {
            return Ok(Reply::Empty);
        }
        self.run_again(target)?;
        Ok(Reply::None)
    }

    /// The reply is the stop that this brings about.
    pub(super) fn attach(&mut self, target: &mut dyn Target, process: u64) -> Result<Reply, Error> {
        if process != PROCESS {
            return Err(Error::NoSuchProcess);
        }
        match self.state {
            State::Detached => {
                target.interrupt();
                self.state = State::Running;
                self.has_run_target = false;
                Ok(Reply::None)
            }
            State::Stopped | State::Running => Ok(self.stop_reply(target, self.last_stop)),
            State::Gone => Err(Error::NoTarget),
        }
    }

    pub(super) fn detach(
        &mut self,
        target: &mut dyn Target,
        process: Option<u64>,
    ) -> Result<Reply, Error> {
        self.check_process(process.unwrap_or(PROCESS))?;
        target.detach();
        self.state = State::Detached;
        Ok(Reply::Ok)
    }

    pub(super) fn kill_process(
        &mut self,
        target: &mut dyn Target,
        process: u64,
    ) -> Result<Reply, Error> {
        self.check_process(process)?;
        if self.state == State::Gone {
            return Err(Error::NoTarget);
        }
        self.kill(target);
        Ok(Reply::Ok)
    }

    /// It has no reply, but LLDB waits for one and wants it to be an end by a signal: SIGKILL.
    pub(super) fn kill(&mut self, target: &mut dyn Target) -> Reply {
        if self.state != State::Gone {
            target.kill();
            self.state = State::Gone;
        }
        if self.lldb.is_here { Reply::Text("X09".to_owned()) } else { Reply::None }
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
