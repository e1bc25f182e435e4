//! Clients that send what no client should. The same on every run: the seeds are in the code.

use crate::agent::{Agent, Expression, Machine};
use crate::hex::HexBytes;
use crate::testing::XorShift;

/// Packets to start from, each understood.
const PACKETS: [&str; 6] = [
    ";X10,2600002a402218021a2312342a401327",
    ";X3c,24004200381a2500000100000000000f0e20001721003924004200381a22032a400b2a4024004200101a122a4013200034210039220121003b220027",
    ";X5e,24004200101a220a2a40082a4022052a401520001821003624004200101a22032a40062a4022012a402b152000312100362201210038220020003e21005b2200240042000019162003162022042b140e20005621005b220121005d220027",
    ";cmds:1,X3e,2600032a202600022a0824004200381a24004200401a2600011640220022003405001a793d256420733d257320256c78202563202535752025255c6e0027",
    ";Xd,240042000019162022012b1427;cmds:1,X1b,2400420000191620220022003401000a782069732025645c6e0027",
    ";Xc,240042000019162022011327Xc,240042000019162022021327",
];

/// The bytecode in a packet.
fn expressions(packet: &str) -> Vec<Vec<u8>> {
    let entries = packet.split('X').skip(1);
    let digits = entries.filter_map(|entry| entry.split([',', ';']).nth(1));
    digits.map(|digits| HexBytes::parse(digits.as_bytes()).unwrap().decode()).collect()
}

/// Has every register and every byte, whatever they are, and counts.
struct Anything {
    random: XorShift,
    reads: usize,
    printed: usize,
}

impl Anything {
    fn new(seed: u64) -> Self {
        Self { random: XorShift::new(seed), reads: 0, printed: 0 }
    }

    /// The work one run may make: a read an instruction, and those for the strings it prints,
    /// of which a character may become three in UTF-8.
    fn assert_within_limits(&mut self, runs: usize) {
        assert!(self.reads <= runs * (10_000 + 2 * 0x10000 / 64), "{} reads", self.reads);
        assert!(self.printed <= runs * 3 * 0x10000, "{} bytes", self.printed);
        self.reads = 0;
        self.printed = 0;
    }
}

impl Machine for Anything {
    fn register(&mut self, _number: u16) -> Option<u64> {
        let value = self.random.next();
        (self.random.below(16) != 0).then_some(value >> self.random.below(64))
    }

    fn read(&mut self, addr: u64, data: &mut [u8]) -> bool {
        assert!(!data.is_empty() && data.len() <= 64);
        assert!(addr.checked_add(data.len() as u64 - 1).is_some());
        self.reads += 1;
        data.fill_with(|| self.random.next() as u8);
        self.random.below(16) != 0
    }

    fn print(&mut self, text: &str) {
        self.printed += text.len();
    }
}

/// Runs the bytecode if it is any, within the limits. Returns whether it was.
fn survives(code: &[u8], machine: &mut Anything) -> bool {
    let expression = Expression::new(code);
    if let Ok(expression) = &expression {
        let _ = expression.run(machine);
        machine.assert_within_limits(1);
    }
    expression.is_ok()
}

#[test]
fn random_bytes_do_no_harm() {
    let mut random = XorShift::new(1);
    let mut machine = Anything::new(2);
    for _ in 0..20_000 {
        let length = random.below(60);
        let code: Vec<u8> = (0..length).map(|_| random.next() as u8).collect();

        survives(&code, &mut machine);
    }
}

#[test]
fn random_instructions_do_no_harm() {
    let mut random = XorShift::new(3);
    let mut machine = Anything::new(4);
    let mut accepted = 0;
    for _ in 0..20_000 {
        // Operands to work on, then anything, with operands and jump targets that are often right.
        let mut code = [0x22, 8].repeat(random.below(6));
        for _ in 0..random.below(40) {
            let opcode = 1 + random.below(0x33) as u8;
            code.push(opcode);
            match opcode {
                0x0d | 0x16 | 0x22 | 0x2a | 0x32 => code.push(random.below(70) as u8),
                0x20 | 0x21 | 0x23 | 0x26 | 0x30 => code.extend([0, random.below(40) as u8]),
                0x24 => code.extend([0x41; 4]),
                0x25 => code.extend([0x41; 8]),
                0x01 | 0x1b..=0x1f | 0x2c..=0x2e | 0x31 => {
                    code.pop();
                }
                _ => {}
            }
        }
        code.extend([&[0x34, 1, 0, 3, b'%', b"dsxc"[random.below(4)], 0][..], &[0x27]].concat());

        accepted += usize::from(survives(&code, &mut machine));
    }
    assert!(accepted > 1000, "only {accepted} were put to the test");
}

#[test]
fn real_expressions_with_a_byte_changed_do_no_harm() {
    let mut machine = Anything::new(5);
    for code in PACKETS.into_iter().flat_map(expressions) {
        for at in 0..code.len() {
            for value in 0..=255 {
                let mut code = code.clone();
                code[at] = value;
                survives(&code, &mut machine);
            }
        }
    }
}

#[test]
fn real_expressions_with_a_part_missing_do_no_harm() {
    let mut machine = Anything::new(6);
    for code in PACKETS.into_iter().flat_map(expressions) {
        for from in 0..code.len() {
            for to in from..=code.len() {
                survives(&[&code[..from], &code[to..]].concat(), &mut machine);
            }
        }
    }
}

#[test]
fn packets_that_are_almost_right_do_no_harm() {
    let mut random = XorShift::new(7);
    let mut machine = Anything::new(8);
    let mut understood = 0;
    for _ in 0..50_000 {
        let mut text = PACKETS[random.below(PACKETS.len())].as_bytes().to_vec();
        let at = random.below(text.len());
        match random.below(4) {
            0 => text.truncate(at),
            1 => text[at] = random.next() as u8,
            2 => text[at] = b"0123456789abcdef"[random.below(16)],
            _ => text.insert(at, b";X,0cmds:1"[random.below(10)]),
        }

        if let Some(Ok(agent)) = Agent::parse(&text) {
            understood += 1;
            let _ = agent.on_hit(&mut machine);
            machine.assert_within_limits(2);
        }
    }
    assert!(understood > 1000, "only {understood} were put to the test");
}
