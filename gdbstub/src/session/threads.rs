//! `H`, `T`, `qC`, `qfThreadInfo`, `qThreadExtraInfo` (RSP manual, Packets and General Query
//! Packets).

use crate::reply::{Error, Reply};
use crate::session::{Session, State};
use crate::target::{Target, Tid};
use crate::thread_id::{self, Part, ThreadId};
use crate::thread_list;

impl Session {
    /// "All" and "any" leave the thread that is: neither says whose registers to read.
    pub(super) fn select_thread(
        &mut self,
        target: &dyn Target,
        id: ThreadId,
    ) -> Result<Reply, Error> {
        let first = find(target, id)?;
        if let Part::One(_) = id.thread {
            self.selected = first;
        }
        Ok(Reply::Ok)
    }

    pub(super) fn select_resume_thread(
        &mut self,
        target: &dyn Target,
        id: ThreadId,
    ) -> Result<Reply, Error> {
        find(target, id)?;
        self.resume = id;
        Ok(Reply::Ok)
    }

    pub(super) fn current_thread(&self) -> Reply {
        Reply::Text(format!("QC{}", thread_id::format(self.selected, self.client.multiprocess)))
    }

    /// All of them at once; `qsThreadInfo` then has none left.
    pub(super) fn first_thread_info(&self, target: &dyn Target) -> Reply {
        if self.state != State::Stopped {
            return Reply::Text("l".to_owned());
        }
        let ids = thread_list::all(target)
            .map(|tid| thread_id::format(tid, self.client.multiprocess))
            .collect::<Vec<_>>();
        Reply::Text(format!("m{}", ids.join(",")))
    }
}

pub fn extra_info(target: &dyn Target, id: ThreadId) -> Result<Reply, Error> {
    let tid = find(target, id)?;
    Ok(Reply::Hex(target.thread_label(tid).into_bytes()))
}

/// The first thread that is meant.
pub fn find(target: &dyn Target, id: ThreadId) -> Result<Tid, Error> {
    thread_list::all(target).find(|tid| id.covers(*tid)).ok_or(Error::NoSuchThread)
}
