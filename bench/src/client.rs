//! A debugger's side of the Remote Serial Protocol, the same for minivmm and QEMU: TCP on the loopback, no delays, one
//! write for a packet, and no acknowledgements. (QEMU 11.1 has no QStartNoAckMode, but takes the next packet for one.)

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::stage::Stage;
use crate::vmm::{Guest, Running, Vmm, free_port};

/// For any one reply; QEMU needs most of a second to listen.
const PATIENCE: Duration = Duration::from_secs(30);

/// A stopped guest with its debugger.
pub struct Debugger {
    stream: TcpStream,
    received: Vec<u8>,
    /// What the stub calls its PacketSize: bytes of the longest packet.
    pub packet_size: usize,
    /// The process that it debugs.
    pub vmm: Running,
}

impl Debugger {
    /// Starts a flat guest, stopped where the VMM enters it.
    pub fn start(stage: &Stage, vmm: Vmm, kernel: PathBuf) -> Self {
        Self::attach(stage, vmm, &Guest::flat(kernel))
    }

    /// Starts any guest, likewise.
    pub fn attach(stage: &Stage, vmm: Vmm, guest: &Guest) -> Self {
        let port = free_port();
        let vmm = vmm.start(stage, guest, Some(port));
        let deadline = Instant::now() + PATIENCE;
        let stream = loop {
            match TcpStream::connect(("127.0.0.1", port)) {
                Ok(stream) => break stream,
                Err(error) => assert!(Instant::now() < deadline, "the stub: {error}"),
            }
            sleep(Duration::from_millis(5));
        };
        stream.set_nodelay(true).expect("TCP_NODELAY");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let mut debugger = Self { stream, received: Vec::new(), packet_size: 0, vmm };
        debugger.introduce();
        debugger
    }

    fn introduce(&mut self) {
        let features = self.text("qSupported:multiprocess+;swbreak+;hwbreak+;vContSupported+");
        self.write(b"+");
        let size = features.split(';').find_map(|feature| feature.strip_prefix("PacketSize="));
        let size = usize::from_str_radix(size.expect("a PacketSize"), 16);
        self.packet_size = size.expect("a number");
        if features.contains("QStartNoAckMode+") {
            self.order("QStartNoAckMode");
            self.write(b"+");
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the stub reads");
    }

    /// Sends a packet and returns its reply as it is on the wire: escaped, runs not expanded.
    pub fn ask(&mut self, payload: &str) -> Vec<u8> {
        let sum = payload.bytes().fold(0_u8, u8::wrapping_add);
        self.write(format!("${payload}#{sum:02x}").as_bytes());
        self.receive()
    }

    /// The next packet's payload.
    pub fn receive(&mut self) -> Vec<u8> {
        let mut searched = 0;
        loop {
            let end = self.received[searched..].iter().position(|byte| *byte == b'#');
            let end = end.map(|end| searched + end).filter(|end| self.received.len() >= end + 3);
            if let Some(end) = end {
                // Acknowledgements may stand in front.
                let start = self.received.iter().position(|byte| *byte == b'$').expect("a packet");
                let payload = self.received[start + 1..end].to_vec();
                self.received.drain(..end + 3);
                return payload;
            }
            searched = self.received.len().saturating_sub(3);
            let mut buffer = [0; 0x4000];
            let len = self.stream.read(&mut buffer).expect("a reply in time");
            assert_ne!(len, 0, "the stub closed the connection");
            self.received.extend(&buffer[..len]);
        }
    }

    /// Sends a packet whose reply is text.
    pub fn text(&mut self, payload: &str) -> String {
        String::from_utf8(decode(&self.ask(payload))).expect("text")
    }

    /// Sends a packet whose reply must be OK.
    pub fn order(&mut self, payload: &str) {
        assert_eq!(self.text(payload), "OK", "{payload}");
    }

    /// Resumes with this packet and waits for the stop.
    pub fn resume(&mut self, payload: &str) {
        let stop = self.ask(payload);
        assert!(stop.starts_with(b"T"), "{payload}: {}", stop.escape_ascii());
    }

    /// Ctrl-C: stops the running guest.
    pub fn interrupt(&mut self) {
        self.write(b"\x03");
        assert!(self.receive().starts_with(b"T"));
    }

    /// Resumes, without waiting for a stop.
    pub fn go(&mut self) {
        self.write(b"$vCont;c#a8");
    }

    /// Executes one instruction.
    pub fn step(&mut self) {
        self.resume("vCont;s:p1.1");
    }

    /// Runs until PC is there.
    pub fn run_to(&mut self, addr: u64) {
        self.insert(addr);
        self.resume("vCont;c");
        assert_eq!(self.register(32), addr);
        self.remove(addr);
    }

    /// Sets a software breakpoint.
    pub fn insert(&mut self, addr: u64) {
        self.order(&format!("Z0,{addr:x},4"));
    }

    /// Removes it.
    pub fn remove(&mut self, addr: u64) {
        self.order(&format!("z0,{addr:x},4"));
    }

    /// A 64-bit register by GDB's number: x0 is 0, pc 32.
    pub fn register(&mut self, number: u32) -> u64 {
        let digits = self.text(&format!("p{number:x}"));
        u64::from_str_radix(&digits, 16).expect("a value").swap_bytes()
    }

    /// Writes it.
    pub fn set_register(&mut self, number: u32, value: u64) {
        self.order(&format!("P{number:x}={:016x}", value.swap_bytes()));
    }
}

/// A reply's data: run lengths expanded, escapes undone (RSP manual, Overview).
pub fn decode(payload: &[u8]) -> Vec<u8> {
    let mut data = Vec::with_capacity(payload.len());
    let mut bytes = payload.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'*' => {
                let count = bytes.next().expect("a run length") - 29;
                let last = *data.last().expect("something to repeat");
                data.extend(std::iter::repeat_n(last, count.into()));
            }
            b'}' => data.push(bytes.next().expect("an escaped byte") ^ 0x20),
            byte => data.push(*byte),
        }
    }
    data
}
