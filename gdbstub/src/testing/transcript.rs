use std::mem;

use crate::session::{Flow, Session};
use crate::stop::{SIGTRAP, Stop, StopReason};
use crate::target::Tid;
use crate::testing::FakeTarget;

/// A session, its target, and what a client would see of them.
pub struct Client {
    pub session: Session,
    pub target: FakeTarget,
    pub flow: Flow,
}

impl Client {
    /// Connected to a target of this many vCPUs that stands at its first instruction.
    pub fn connect(threads: usize) -> Self {
        let initial = Stop { tid: Tid::FIRST, reason: StopReason::Signal(SIGTRAP) };
        let target = FakeTarget::new(threads);
        Self { session: Session::new(initial), target, flow: Flow::Continue }
    }

    /// Likewise, and past the packets that GDB starts with.
    pub fn connect_gdb(threads: usize) -> Self {
        let mut client = Self::connect(threads);
        client.ask("qSupported:multiprocess+;swbreak+;hwbreak+;xmlRegisters=i386");
        client.bytes(b"$QStartNoAckMode#b0+");
        client
    }

    /// Sends bytes as they are, returns those that come back.
    pub fn bytes(&mut self, bytes: &[u8]) -> String {
        let mut out = Vec::new();
        self.flow = self.session.receive(bytes, &mut self.target, &mut out);
        out.escape_ascii().to_string()
    }

    /// Sends a packet, returns the data of the one that comes back, or "nothing".
    pub fn ask(&mut self, data: &str) -> String {
        self.ask_bytes(data.as_bytes())
    }

    pub fn ask_bytes(&mut self, data: &[u8]) -> String {
        let mut out = Vec::new();
        self.flow = self.session.receive(&frame(data), &mut self.target, &mut out);
        unframe(&out)
    }

    /// The target stops; returns the data of the packet that comes.
    pub fn stop(&mut self, tid: usize, reason: StopReason) -> String {
        let mut out = Vec::new();
        self.target.is_running = false;
        let stop = Stop { tid: Tid::new(tid as u32).unwrap(), reason };
        self.session.stopped(stop, &mut self.target, &mut out);
        unframe(&out)
    }

    /// A transcript: `>` sends a packet, `<` is the data of the one that must come back (newlines
    /// as `\n`), `=` all the target must have been told since the last `=`.
    pub fn play(&mut self, transcript: &str) {
        let mut reply = String::new();
        for line in transcript.lines().map(str::trim) {
            let (mark, rest) = line.split_at(1);
            match mark {
                ">" => reply = self.ask(rest.trim()).replace('\n', "\\n"),
                "<" => assert_eq!(reply, rest.trim(), "in {transcript}"),
                "=" => assert_eq!(self.told(), rest.trim(), "in {transcript}"),
                _ => panic!("{line}"),
            }
        }
    }

    fn told(&mut self) -> String {
        mem::take(&mut self.target.log).join("; ")
    }
}

/// A packet around data, escaped but not shortened, as GDB sends it.
pub fn frame(data: &[u8]) -> Vec<u8> {
    let mut raw = Vec::new();
    for byte in data {
        match byte {
            b'#' | b'$' | b'}' => raw.extend([b'}', byte ^ 0x20]),
            _ => raw.push(*byte),
        }
    }
    let sum = raw.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    [b"$", &raw[..], format!("#{sum:02x}").as_bytes()].concat()
}

/// The data of a single packet as a client understands it: without acknowledgment, checksum
/// checked, expanded, unescaped.
pub fn unframe(mut bytes: &[u8]) -> String {
    while let Some(rest) = bytes.strip_prefix(b"+") {
        bytes = rest;
    }
    if bytes.is_empty() {
        return "nothing".to_owned();
    }
    let (raw, sum) = bytes[1..].split_at(bytes.len() - 4);
    assert_eq!(bytes[0], b'$', "{}", bytes.escape_ascii());
    let right = raw.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    assert_eq!(sum, format!("#{right:02x}").as_bytes(), "{}", bytes.escape_ascii());

    let mut data: Vec<u8> = Vec::new();
    let mut raw = raw.iter();
    while let Some(byte) = raw.next() {
        match byte {
            b'}' => data.push(raw.next().unwrap() ^ 0x20),
            b'*' => {
                let repeated = *data.last().unwrap();
                let count = usize::from(raw.next().unwrap() - 29);
                data.extend(vec![repeated; count]);
            }
            _ => data.push(*byte),
        }
    }
    // Replies are text, except for parts of documents, whose newlines stay.
    data.iter().map(|byte| char::from(*byte)).collect()
}

/// A stop reply without the registers that ride along, which end it.
pub fn head(reply: &str) -> &str {
    reply.split_once("00:").map_or(reply, |(head, _)| head)
}
