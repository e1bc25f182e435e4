//! Why the target stopped, and the stop reply that says so (RSP manual, Stop Reply Packets).

use crate::aarch64::RegisterValue;
use crate::command::ClientFeatures;
use crate::hex;
use crate::target::{Kind, Tid};
use crate::thread_id::{self, PROCESS};

/// GDB's number for no signal: a thread that is stopped because others are.
pub const NONE: u8 = 0;
/// GDB's number for an interrupt from the user. Signals on the wire are GDB's, not the host's.
pub const SIGINT: u8 = 2;
/// GDB's number for a breakpoint, a watchpoint or a finished step.
pub const SIGTRAP: u8 = 5;
/// Signal number of SIGABRT.
pub const SIGABRT: u8 = 6;

/// A stop of the whole target, and the thread that caused it.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Stop {
    /// The thread that stopped first, or any if none did.
    pub tid: Tid,
    /// Why.
    pub reason: StopReason,
}

/// What stopped a thread.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum StopReason {
    /// A signal by GDB's number: [`SIGINT`] after [`Target::interrupt`](crate::Target::interrupt),
    /// [`SIGTRAP`] at the machine's first instruction.
    Signal(u8),
    /// The thread's [`Action::Step`](crate::Action::Step) is done.
    Step,
    /// A [`Kind::Software`] breakpoint; pc is its address.
    SwBreak,
    /// A [`Kind::Hardware`] breakpoint; pc is its address.
    HwBreak,
    /// A watchpoint.
    Watch {
        /// The kind it was set with: `Write`, `Read` or `Access`. For the two kinds that watch
        /// nothing the client is told of a plain `SIGTRAP`.
        kind: Kind,
        /// An address inside the watched range: by it the client finds its watchpoint.
        addr: u64,
    },
    /// The machine has ended, with this exit status. Nothing is left to debug.
    Exited(u8),
}

impl Stop {
    /// The stop reply's data, with more fields as they stand. `registers` ride along as
    /// `number:value;`, so that the client need not ask for them: number, bytes and value of each.
    pub(crate) fn reply(
        &self,
        client: ClientFeatures,
        more: &str,
        registers: impl Iterator<Item = (u16, usize, RegisterValue)>,
    ) -> Vec<u8> {
        match self.reason {
            StopReason::Exited(status) if client.multiprocess => {
                return format!("W{status:02x};process:{PROCESS:x}").into_bytes();
            }
            StopReason::Exited(status) => return format!("W{status:02x}").into_bytes(),
            _ => {}
        }
        let signal = self.reason.signal();
        let thread = thread_id::format(self.tid, client.multiprocess);
        let core = self.tid.index();
        let reason = self.reason.field(client);
        let mut data =
            format!("T{signal:02x}thread:{thread};core:{core:x};{reason}{more}").into_bytes();
        for (number, size, value) in registers {
            let [high, low] = number.to_be_bytes();
            if high != 0 {
                data.extend(hex::pair(high));
            }
            data.extend(hex::pair(low));
            data.push(b':');
            value.push_hex(size, &mut data);
            data.push(b';');
        }
        data
    }
}

impl StopReason {
    /// GDB's number of the signal that a debugger is told of; of an end, none.
    pub(crate) fn signal(self) -> u8 {
        match self {
            Self::Signal(signal) => signal,
            Self::Exited(_) => NONE,
            _ => SIGTRAP,
        }
    }

    /// In LLDB's words (GDB Remote Protocol Extensions, "Stop reply packet extensions").
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Signal(NONE) => "none",
            Self::Signal(_) => "signal",
            Self::Step => "trace",
            Self::SwBreak | Self::HwBreak => "breakpoint",
            Self::Watch { .. } => "watchpoint",
            Self::Exited(_) => "exited",
        }
    }

    /// The field that tells it from other `SIGTRAP`s. `swbreak` and `hwbreak` are errors to
    /// clients that did not offer them (RSP manual, Stop Reply Packets, "swbreak").
    fn field(self, client: ClientFeatures) -> String {
        match self {
            Self::SwBreak if client.swbreak => "swbreak:;".to_owned(),
            Self::HwBreak if client.hwbreak => "hwbreak:;".to_owned(),
            Self::Watch { kind: Kind::Write, addr } => format!("watch:{addr:x};"),
            Self::Watch { kind: Kind::Read, addr } => format!("rwatch:{addr:x};"),
            Self::Watch { kind: Kind::Access, addr } => format!("awatch:{addr:x};"),
            _ => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::iter;

    const OLD_CLIENT: ClientFeatures = ClientFeatures {
        multiprocess: false,
        swbreak: false,
        hwbreak: false,
        error_message: false,
        no_resumed: false,
    };
    const GDB: ClientFeatures = ClientFeatures {
        multiprocess: true,
        swbreak: true,
        hwbreak: true,
        error_message: true,
        no_resumed: true,
    };

    fn text(data: Vec<u8>) -> String {
        String::from_utf8(data).unwrap()
    }

    fn reply(client: ClientFeatures, reason: StopReason) -> String {
        text(Stop { tid: Tid::from_index(15), reason }.reply(client, "", iter::empty()))
    }

    #[test]
    fn every_reason_as_gdb_gets_it() {
        let watch = |kind| StopReason::Watch { kind, addr: 0xffff_8000_1234_5678 };

        assert_eq!(reply(GDB, StopReason::Signal(SIGINT)), "T02thread:p1.10;core:f;");
        assert_eq!(reply(GDB, StopReason::Step), "T05thread:p1.10;core:f;");
        assert_eq!(reply(GDB, StopReason::SwBreak), "T05thread:p1.10;core:f;swbreak:;");
        assert_eq!(reply(GDB, StopReason::HwBreak), "T05thread:p1.10;core:f;hwbreak:;");
        assert_eq!(
            reply(GDB, watch(Kind::Write)),
            "T05thread:p1.10;core:f;watch:ffff800012345678;"
        );
        assert_eq!(
            reply(GDB, watch(Kind::Read)),
            "T05thread:p1.10;core:f;rwatch:ffff800012345678;"
        );
        assert_eq!(
            reply(GDB, watch(Kind::Access)),
            "T05thread:p1.10;core:f;awatch:ffff800012345678;"
        );
        assert_eq!(reply(GDB, watch(Kind::Software)), "T05thread:p1.10;core:f;");
        assert_eq!(reply(GDB, StopReason::Exited(33)), "W21;process:1");
    }

    #[test]
    fn a_client_gets_nothing_it_did_not_offer() {
        assert_eq!(reply(OLD_CLIENT, StopReason::SwBreak), "T05thread:10;core:f;");
        assert_eq!(reply(OLD_CLIENT, StopReason::HwBreak), "T05thread:10;core:f;");
        assert_eq!(reply(OLD_CLIENT, StopReason::Exited(0)), "W00");
    }

    #[test]
    fn registers_ride_along_in_target_byte_order() {
        let stop = Stop { tid: Tid::FIRST, reason: StopReason::Step };
        let registers = [
            (1, 8, 0x1122_3344_5566_7788_u64.into()),
            (32, 8, 0x4008_0000_u64.into()),
            (0x101, 4, 0x3c5_u32.into()),
        ];

        assert_eq!(
            text(stop.reply(GDB, "", registers.into_iter())),
            "T05thread:p1.1;core:0;01:8877665544332211;20:0000084000000000;0101:c5030000;"
        );
    }
}
