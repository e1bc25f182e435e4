//! The whole stub, from bytes to target and back, against a client that may send anything.
//!
//! The input is lines, so that mutations keep their place: a line is the data of a packet, framed here with the right checksum;
//! one that begins with `~` is bytes as they are; one that begins with `=` has the target stop, the next byte says why. All of it
//! goes in pieces.
#![no_main]

mod machine;

use gdbstub::packet::PACKET_SIZE;
use gdbstub::{Flow, Kind, Session, Stop, StopReason, Tid, stop};
use libfuzzer_sys::fuzz_target;

use machine::Machine;

/// The most one packet brings back, monitor commands aside: an acknowledgment, a refusal in words and a full packet.
const MOST_PER_PACKET: usize = 2 * ("+$#00".len() + PACKET_SIZE);

struct Client {
    session: Session,
    machine: Machine,
    /// How the last packets were cut.
    piece: usize,
}

impl Client {
    fn new() -> Self {
        let initial = Stop { tid: Tid::FIRST, reason: StopReason::Signal(stop::SIGTRAP) };
        Self { session: Session::new(initial), machine: Machine::new(), piece: 0 }
    }

    /// Sends bytes in pieces of one to seven.
    fn send(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            self.piece = (self.piece + 3) % 7;
            let (piece, after) = rest.split_at(rest.len().min(1 + self.piece));
            rest = after;
            let flow = self.session.receive(piece, &mut self.machine, &mut out);
            if flow != Flow::Continue {
                *self = Self::new();
            }
        }
        out
    }

    fn stop(&mut self, why: u8) {
        let tid = Tid::from_index(usize::from(why >> 7));
        let reason = match why & 0x7f {
            b'e' => StopReason::Exited(why),
            b'h' => StopReason::HwBreak,
            b'i' => StopReason::Signal(stop::SIGINT),
            b's' => StopReason::Step,
            b'w' => StopReason::Watch { kind: Kind::Access, addr: 0x4000_0010 },
            _ => StopReason::SwBreak,
        };
        let mut out = Vec::new();
        self.session.console("words", &mut out);
        self.machine.is_running = false;
        self.session.stopped(Stop { tid, reason }, &mut self.machine, &mut out);
        check_frames(&out);
    }

    /// A good packet, whatever came before it, has its reply.
    fn check_that_it_answers(&mut self) {
        self.stop(b'i');
        // `$` ends whatever packet was begun.
        let out = self.send(&frame(b"vCont?"));
        assert!(out.ends_with(b"$vCont;c;C;s;S;t;r#be"), "{}", out.escape_ascii());
    }
}

fn frame(data: &[u8]) -> Vec<u8> {
    let mut raw = vec![b'$'];
    for byte in data {
        match byte {
            b'#' | b'$' | b'}' => raw.extend([b'}', byte ^ 0x20]),
            _ => raw.push(*byte),
        }
    }
    let sum = raw[1..].iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    raw.extend(format!("#{sum:02x}").bytes());
    raw
}

/// What comes back is acknowledgments and packets with the right checksum, nothing else.
fn check_frames(mut out: &[u8]) {
    while let Some((first, rest)) = out.split_first() {
        out = rest;
        match first {
            b'+' | b'-' => {}
            b'$' => {
                let end = rest.iter().position(|byte| *byte == b'#').expect("an end");
                assert!(end <= PACKET_SIZE, "{end} bytes of data");
                assert!(!rest[..end].contains(&b'$'), "a second start");
                let sum = rest[..end].iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
                assert_eq!(&rest[end + 1..end + 3], format!("{sum:02x}").as_bytes());
                out = &rest[end + 3..];
            }
            other => panic!("{other:#x} between packets"),
        }
    }
}

fuzz_target!(|input: &[u8]| {
    let mut client = Client::new();
    for line in input.split(|byte| *byte == b'\n') {
        match line {
            [b'=', why, ..] => client.stop(*why),
            [b'~', bytes @ ..] => {
                let replies = bytes.iter().filter(|byte| b"#-+".contains(byte)).count();
                let out = client.send(bytes);
                assert!(out.len() <= (2 + replies) * MOST_PER_PACKET, "{} bytes", out.len());
            }
            data => {
                let out = client.send(&frame(data));
                check_frames(&out);
                let most = MOST_PER_PACKET + machine::MOST_WORDS * 4;
                assert!(out.len() <= most, "{} bytes", out.len());
            }
        }
    }
    client.check_that_it_answers();
});
