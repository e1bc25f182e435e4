//! A client of the Remote Serial Protocol for what GDB does not do, or does too slowly to be done ten
//! thousand times: one packet at a time, no acknowledgements.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::transcript::PATIENCE;

/// A connection to the stub. The guest is stopped.
pub struct Rsp {
    stream: TcpStream,
    received: Vec<u8>,
}

/// A stop reply.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stop {
    /// All of it: `T05thread:p1.1;...`.
    pub text: String,
}

impl Stop {
    /// Value of a field: `thread`, `watch`, `swbreak`; `20` is pc.
    pub fn field(&self, name: &str) -> Option<&str> {
        let fields = self.text.get(3..)?.split(';');
        fields
            .filter_map(|field| field.split_once(':'))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
    }

    /// Program counter of the thread that stopped.
    pub fn pc(&self) -> u64 {
        little_endian(self.field("20").unwrap_or_else(|| panic!("no pc in {}", self.text)))
    }

    /// x0 to x30 of the thread that stopped.
    pub fn register(&self, number: u32) -> u64 {
        let field = self.field(&format!("{number:02x}"));
        little_endian(field.unwrap_or_else(|| panic!("no x{number} in {}", self.text)))
    }

    /// The thread that stopped, from 1.
    pub fn thread(&self) -> u32 {
        let id = self.field("thread").unwrap_or_else(|| panic!("no thread in {}", self.text));
        u32::from_str_radix(id.trim_start_matches("p1."), 16).expect("a thread id")
    }
}

/// A register's value from its bytes as hexadecimal digits.
fn little_endian(hex: &str) -> u64 {
    from_hex(hex).iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

fn from_hex(hex: &str) -> Vec<u8> {
    let digit =
        |n| u8::from_str_radix(&hex[n..n + 2], 16).unwrap_or_else(|_| panic!("not hex: {hex}"));
    (0..hex.len()).step_by(2).map(digit).collect()
}

/// Two digits a byte.
pub fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

impl Rsp {
    /// Connects to a port of this machine. The guest stops, if it has not.
    pub fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("the stub listens");
        stream.set_nodelay(true).expect("TCP_NODELAY");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let mut rsp = Self { stream, received: Vec::new() };
        assert_eq!(rsp.ask("QStartNoAckMode"), "OK");
        rsp.stream.write_all(b"+").expect("the stub reads");
        let features = "qSupported:multiprocess+;swbreak+;hwbreak+;error-message+;vContSupported+";
        assert!(rsp.ask(features).contains("PacketSize="));
        rsp
    }

    /// Sends a packet.
    pub fn send(&mut self, payload: &str) {
        let sum = payload.bytes().fold(0_u8, u8::wrapping_add);
        self.stream.write_all(format!("${payload}#{sum:02x}").as_bytes()).expect("the stub reads");
    }

    /// The next packet's payload, run lengths expanded.
    pub fn receive(&mut self) -> String {
        loop {
            if let Some(start) = self.received.iter().position(|byte| *byte == b'$')
                && let Some(len) = self.received[start..].iter().position(|byte| *byte == b'#')
                && self.received.len() >= start + len + 3
            {
                let payload = expand(&self.received[start + 1..start + len]);
                self.received.drain(..start + len + 3);
                return payload;
            }
            self.fill();
        }
    }

    fn fill(&mut self) {
        let mut buffer = [0; 0x4000];
        let len = self.stream.read(&mut buffer).expect("a reply in time");
        assert_ne!(len, 0, "the stub closed the connection");
        self.received.extend(&buffer[..len]);
    }

    /// Sends a packet and returns its reply.
    pub fn ask(&mut self, payload: &str) -> String {
        self.send(payload);
        self.receive()
    }

    /// Sends a packet whose reply must be OK.
    #[track_caller]
    pub fn order(&mut self, payload: &str) {
        let reply = self.ask(payload);
        assert_eq!(reply, "OK", "{payload}");
    }

    /// Resumes with this packet and waits for the stop: `vCont;c`, `vCont;s:p1.1`.
    #[track_caller]
    pub fn resume(&mut self, payload: &str) -> Stop {
        let text = self.ask(payload);
        assert!(text.starts_with('T'), "{payload}: {text}");
        Stop { text }
    }

    /// Ctrl-C: the running guest stops.
    pub fn interrupt(&mut self) -> Stop {
        self.send_interrupt();
        Stop { text: self.receive() }
    }

    /// Ctrl-C, without waiting for the stop.
    pub fn send_interrupt(&mut self) {
        self.stream.write_all(b"\x03").expect("the stub reads");
    }

    /// Takes the words for the user up to the next stop.
    pub fn words(&mut self) -> (String, Stop) {
        let (words, text) = self.output();
        assert!(text.starts_with('T'), "{text}");
        (words, Stop { text })
    }

    /// Takes words for the user and the packet behind them.
    pub fn output(&mut self) -> (String, String) {
        let mut words = Vec::new();
        loop {
            let packet = self.receive();
            match packet.strip_prefix('O').filter(|hex| *hex != "K") {
                Some(hex) => words.extend(from_hex(hex)),
                None => return (String::from_utf8(words).expect("UTF-8"), packet),
            }
        }
    }

    /// Runs a monitor command; returns what it printed.
    ///
    /// # Errors
    /// Why it was refused.
    pub fn monitor(&mut self, command: &str) -> Result<String, String> {
        self.send(&format!("qRcmd,{}", to_hex(command.as_bytes())));
        let (text, end) = self.output();
        match end.strip_prefix("E.") {
            Some(why) => Err(why.to_owned()),
            None if end == "OK" => Ok(text),
            None => panic!("{command}: {end}"),
        }
    }

    /// What a monitor command printed, which is not refused.
    #[track_caller]
    pub fn told(&mut self, command: &str) -> String {
        self.monitor(command).unwrap_or_else(|why| panic!("{command}: {why}"))
    }

    /// Waits until so many bytes have come that nobody has looked at.
    pub fn wait_for_bytes(&mut self, count: usize) {
        while self.received.len() < count {
            self.fill();
        }
    }

    /// The stub's port.
    pub fn port(&self) -> u16 {
        self.stream.peer_addr().expect("connected").port()
    }

    /// Selects the thread, from 1, that registers and memory are of.
    pub fn select(&mut self, thread: u32) {
        self.order(&format!("Hgp1.{thread:x}"));
    }

    /// A register of the selected thread by GDB's number: x0 is 0, sp 31, pc 32, cpsr 33.
    pub fn register(&mut self, number: u32) -> u64 {
        little_endian(&self.ask(&format!("p{number:x}")))
    }

    /// target.xml, all of it.
    pub fn description(&mut self) -> String {
        let mut xml = String::new();
        loop {
            let part = self.ask(&format!("qXfer:features:read:target.xml:{:x},4000", xml.len()));
            xml += &part[1..];
            if part.starts_with('l') {
                return xml;
            }
        }
    }

    /// Writes a 64-bit register of the selected thread.
    pub fn set_register(&mut self, number: u32, value: u64) {
        self.order(&format!("P{number:x}={}", to_hex(&value.to_le_bytes())));
    }

    /// Bytes of guest memory from a virtual address, as many as there are.
    pub fn read(&mut self, addr: u64, len: usize) -> Vec<u8> {
        from_hex(&self.ask(&format!("m{addr:x},{len:x}")))
    }

    /// A 64-bit word of guest memory.
    pub fn read_u64(&mut self, addr: u64) -> u64 {
        u64::from_le_bytes(self.read(addr, 8).try_into().expect("8 bytes"))
    }

    /// Writes guest memory.
    pub fn write(&mut self, addr: u64, bytes: &[u8]) {
        self.order(&format!("M{addr:x},{:x}:{}", bytes.len(), to_hex(bytes)));
    }
}

/// The number of a register in target.xml.
pub fn number(xml: &str, name: &str) -> u32 {
    let mut registers = xml.match_indices("<reg name=\"");
    let is_it =
        |(at, prefix): (usize, &str)| xml[at + prefix.len()..].starts_with(&format!("{name}\""));
    registers.position(is_it).unwrap_or_else(|| panic!("no {name}")) as u32
}

/// Expands run lengths (RSP manual, Overview).
fn expand(payload: &[u8]) -> String {
    let mut text = String::new();
    let mut bytes = payload.iter();
    while let Some(byte) = bytes.next() {
        if *byte == b'*' {
            let count = bytes.next().expect("a run length") - 29;
            let last = text.chars().last().expect("something to repeat");
            text.extend(std::iter::repeat_n(last, count.into()));
        } else {
            text.push(char::from(*byte));
        }
    }
    text
}
