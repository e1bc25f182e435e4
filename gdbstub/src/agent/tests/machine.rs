use std::collections::BTreeMap;

use crate::agent::{Expression, Fault, Machine};

/// A vCPU with a few registers and a few bytes of memory, which keeps what is printed.
#[derive(Clone, Default)]
pub struct FakeMachine {
    registers: BTreeMap<u16, u64>,
    memory: Vec<(u64, Vec<u8>)>,
    /// All output.
    pub printed: String,
}

impl FakeMachine {
    pub fn with_register(mut self, number: u16, value: u64) -> Self {
        self.registers.insert(number, value);
        self
    }

    pub fn with_memory(mut self, addr: u64, bytes: &[u8]) -> Self {
        self.memory.push((addr, bytes.to_vec()));
        self
    }
}

impl Machine for FakeMachine {
    fn register(&mut self, number: u16) -> Option<u64> {
        self.registers.get(&number).copied()
    }

    fn read(&mut self, addr: u64, data: &mut [u8]) -> bool {
        assert!(!data.is_empty());
        assert!(addr.checked_add(data.len() as u64 - 1).is_some());
        let found = self.memory.iter().find_map(|(start, bytes)| {
            let from = usize::try_from(addr.checked_sub(*start)?).ok()?;
            bytes.get(from..from.checked_add(data.len())?)
        });
        match found {
            Some(bytes) => data.copy_from_slice(bytes),
            None => return false,
        }
        true
    }

    fn print(&mut self, text: &str) {
        self.printed.push_str(text);
    }
}

/// Runs bytecode that must be accepted.
pub fn run(code: &[u8], machine: &mut FakeMachine) -> Result<Option<u64>, Fault> {
    Expression::new(code).unwrap().run(machine)
}

/// Runs bytecode that looks at no machine.
pub fn value(code: &[u8]) -> Result<Option<u64>, Fault> {
    run(code, &mut FakeMachine::default())
}

/// `format` as a `printf` bytecode after `pushes`, and the end.
pub fn printf(pushes: &[u8], args: u8, format: &str) -> Vec<u8> {
    let format = [format.as_bytes(), &[0]].concat();
    let len = u16::try_from(format.len()).unwrap().to_be_bytes();
    [pushes, &[0x22, 0, 0x22, 0, 0x34, args, len[0], len[1]], &format, &[0x27]].concat()
}

/// -`number`, as it is on the stack.
pub fn minus(number: u64) -> u64 {
    number.wrapping_neg()
}
