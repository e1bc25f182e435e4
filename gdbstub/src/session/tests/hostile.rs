//! Clients that send what no client should. The same on every run: the seeds are in the code.

use crate::packet::PACKET_SIZE;
use crate::session::{Flow, Session};
use crate::stop::{SIGINT, SIGTRAP, Stop, StopReason};
use crate::target::Tid;
use crate::testing::{FakeTarget, XorShift, frame, unframe};

/// Packets to start from, each understood.
const PACKETS: [&str; 54] = [
    "qSupported:multiprocess+;swbreak+;hwbreak+;error-message+",
    "QStartNoAckMode",
    "?",
    "qXfer:features:read:target.xml:0,fff",
    "qXfer:threads:read::0,1000",
    "Hgp1.1",
    "Hc-1",
    "Tp1.2",
    "qfThreadInfo",
    "qThreadExtraInfo,p1.2",
    "g",
    "G00000000",
    "p20",
    "P20=0000084000000000",
    "m40000000,40",
    "M40000000,4:1f2003d5",
    "X40000000,4:\u{1}\u{2}\u{3}\u{4}",
    "Z0,40000000,4",
    "z2,ffffffffffffffff,8",
    "vCont?",
    "vCont;s:p1.1;c:p1.-1",
    "c40000000",
    "S05;40000000",
    "vCtrlC",
    "D;2",
    "vKill;2",
    "!",
    "vRun;",
    "R00",
    "vAttach;1",
    "vKill;1",
    "k",
    "D;1",
    "x40000000,40",
    "x0,0",
    "qSearch:memory:40000000;1000;abc",
    "qCRC:40000000,100",
    "qRcmd,73617920612062",
    "qOffsets",
    "qXfer:exec-file:read:1:0,100",
    "Z0,40000000,4;X10,2600172a402218021a2312342a401327",
    "Z1,40000000,4;X3,220127X3,220027;cmds:1,X3,220127",
    "vCont;t:p1.1;c",
    "qHostInfo",
    "qProcessInfo",
    "QThreadSuffixSupported",
    "QListThreadsInStopReply",
    "QEnableErrorStrings",
    "qRegisterInfo1f",
    "jThreadsInfo",
    "qThreadStopInfop1.2",
    "qMemoryRegionInfo:40000000",
    "g;thread:p1.2;",
    "_M1000,rw",
];

/// The most one packet brings back: an acknowledgment and a full packet.
const MOST_PER_PACKET: usize = "+$#00".len() + PACKET_SIZE;

/// A session under attack.
struct Victim {
    session: Session,
    target: FakeTarget,
}

impl Victim {
    fn new() -> Self {
        let initial = Stop { tid: Tid::FIRST, reason: StopReason::Signal(SIGTRAP) };
        Self { session: Session::new(initial), target: FakeTarget::new(2) }
    }

    /// Feeds the bytes in pieces. A target that was resumed stops before the next piece; a client
    /// that ended its session is followed by the next one.
    fn feed(&mut self, bytes: &[u8], random: &mut XorShift) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(1 + random.below(rest.len()));
            rest = after;
            let mut out = Vec::new();
            let flow = self.session.receive(piece, &mut self.target, &mut out);
            // Nothing brings more than a reply: a `#` with its checksum, a `-`.
            let replies = piece.iter().filter(|byte| matches!(byte, b'#' | b'-')).count();
            assert!(out.len() <= (2 + replies) * MOST_PER_PACKET);
            if flow != Flow::Continue {
                *self = Self::new();
            } else if self.session.is_running() && random.below(2) == 0 {
                self.stop();
            }
        }
        self.target.log.clear();
    }

    fn stop(&mut self) {
        self.target.is_running = false;
        let stop = Stop { tid: Tid::FIRST, reason: StopReason::Signal(SIGINT) };
        self.session.stopped(stop, &mut self.target, &mut Vec::new());
    }

    /// A good packet, whatever came before it, has its reply.
    fn assert_answers(&mut self) {
        self.stop();
        // `$` ends whatever packet was begun.
        let mut out = Vec::new();
        let _ = self.session.receive(&frame(b"vCont?"), &mut self.target, &mut out);
        assert_eq!(unframe(&out), "vCont;c;C;s;S;t;r");
    }
}

#[test]
fn random_bytes_do_no_harm() {
    let mut random = XorShift::new(1);
    let mut victim = Victim::new();
    for _ in 0..2000 {
        let length = 1 + random.below(200);
        let bytes: Vec<u8> = (0..length).map(|_| random.next() as u8).collect();

        victim.feed(&bytes, &mut random);
        victim.assert_answers();
    }
}

#[test]
fn random_bytes_that_look_like_packets_do_no_harm() {
    const ALPHABET: &[u8] = b"$$$#0123456789abcdef+-\x03}*;:,.pmMXGPZzgcCsSvqQHTDk?";
    let mut random = XorShift::new(2);
    let mut victim = Victim::new();
    for _ in 0..2000 {
        let length = 1 + random.below(100);
        let bytes: Vec<u8> = (0..length).map(|_| ALPHABET[random.below(ALPHABET.len())]).collect();

        victim.feed(&bytes, &mut random);
        victim.assert_answers();
    }
}

#[test]
fn random_packets_that_are_almost_right_do_no_harm() {
    let mut random = XorShift::new(3);
    let mut victim = Victim::new();
    for _ in 0..10_000 {
        let mut data = PACKETS[random.below(PACKETS.len())].as_bytes().to_vec();
        match random.below(4) {
            0 => data.truncate(random.below(data.len())),
            1 => {
                let at = random.below(data.len());
                data[at] = random.next() as u8;
            }
            2 => data.insert(random.below(data.len()), b"0f,;:-p."[random.below(8)]),
            _ => {}
        }

        victim.feed(&frame(&data), &mut random);
        victim.assert_answers();
    }
}

#[test]
fn packets_cut_off_anywhere_do_no_harm() {
    let mut random = XorShift::new(4);
    for packet in PACKETS {
        let bytes = frame(packet.as_bytes());
        for cut in 1..bytes.len() {
            let mut victim = Victim::new();

            victim.feed(&bytes[..cut], &mut random);
            victim.assert_answers();
        }
    }
}

#[test]
fn the_most_actions_a_packet_holds_are_resolved() {
    let mut victim = Victim::new();
    let mut out = Vec::new();
    let data = format!("vCont{}", ";c:p1.2".repeat((PACKET_SIZE - 5) / 7));

    let _ = victim.session.receive(&frame(data.as_bytes()), &mut victim.target, &mut out);

    assert_eq!(victim.target.log, ["resume 2 Continue"]);
}
