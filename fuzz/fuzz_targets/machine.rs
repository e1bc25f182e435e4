//! A machine of two vCPUs and two pages that does as it is told, and checks what the stub promises a target.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use gdbstub::description::{Contents, SystemKind, SystemRegister};
use gdbstub::{
    Action, AddressBits, Agent, Description, MemoryRegion, Permissions, Register, RegisterValue, Relocation,
    Space, Stoppoint, Target, TargetError, Tid, Verdict, agent,
};

/// With as much as there can be.
static DESCRIPTION: LazyLock<Arc<Description>> = LazyLock::new(|| {
    let register = |n| SystemRegister { name: format!("S{n}_EL1"), kind: SystemKind::Number };
    Arc::new(Description::new(Contents {
        vector_length: Some(256),
        has_pauth: true,
        has_tpidr2: true,
        system: (0..300).map(register).collect(),
    }))
});

const BASE: u64 = 0x4000_0000;
const THREADS: usize = 2;
/// Bytes that a monitor command prints at most.
pub const MOST_WORDS: usize = 1 << 20;

pub struct Machine {
    registers: Vec<HashMap<Register, RegisterValue>>,
    memory: Vec<u8>,
    is_gone: bool,
    /// Then it must not be looked at.
    pub is_running: bool,
}

impl Machine {
    pub fn new() -> Self {
        let registers = vec![HashMap::new(); THREADS];
        Self { registers, memory: vec![0; 0x2000], is_gone: false, is_running: false }
    }

    fn check(&self) {
        assert!(!self.is_gone, "looked at after its end");
        assert!(!self.is_running, "looked at while it runs");
    }

    fn registers(&mut self, tid: Tid) -> &mut HashMap<Register, RegisterValue> {
        self.check();
        &mut self.registers[tid.index()]
    }

    fn range(&self, addr: u64, length: usize) -> Result<usize, TargetError> {
        assert!(length > 0, "nothing asked for");
        assert!(addr.checked_add(length as u64 - 1).is_some(), "past the end of the address space");
        self.check();
        let offset = addr.wrapping_sub(BASE) as usize;
        if offset < self.memory.len() { Ok(offset) } else { Err(TargetError::Unmapped { addr }) }
    }
}

/// What a breakpoint's expressions look at.
struct Vcpu<'a> {
    machine: &'a mut Machine,
    tid: Tid,
    printed: usize,
}

/// 64 expressions of 64 KiB, each byte of which may have become a replacement character.
const MOST_PRINTED: usize = 64 * 3 * 0x10000;

impl agent::Machine for Vcpu<'_> {
    fn register(&mut self, number: u16) -> Option<u64> {
        let reg = DESCRIPTION.register(number.into())?;
        Some(self.machine.read_register(self.tid, reg).ok()?.as_u64())
    }

    fn read(&mut self, addr: u64, data: &mut [u8]) -> bool {
        self.machine.read_memory(Space::Virtual(self.tid), addr, data).is_ok_and(|read| read == data.len())
    }

    fn print(&mut self, text: &str) {
        self.printed += text.len();
    }
}

impl Target for Machine {
    fn threads(&self) -> usize {
        THREADS
    }

    fn thread_label(&self, tid: Tid) -> String {
        self.check();
        format!("vCPU {}", tid.index())
    }

    fn is_off(&self, tid: Tid) -> bool {
        self.check();
        tid.index() == 1
    }

    fn exec_file(&self) -> Option<&str> {
        Some("/vmlinux")
    }

    fn relocation(&mut self) -> Relocation {
        Relocation { text: Some(0), slide: Some(0) }
    }

    fn address_bits(&self) -> AddressBits {
        AddressBits { lower: 48, upper: 52 }
    }

    fn can_step(&self) -> bool {
        true
    }

    fn watchpoints(&self) -> usize {
        4
    }

    fn description(&self) -> Arc<Description> {
        DESCRIPTION.clone()
    }

    fn write_registers(
        &mut self,
        tid: Tid,
        values: &[(Register, RegisterValue)],
    ) -> Result<(), TargetError> {
        self.registers(tid).extend(values.iter().cloned());
        Ok(())
    }

    fn read_register(&mut self, tid: Tid, reg: Register) -> Result<RegisterValue, TargetError> {
        match reg {
            Register::Fpcr => Err(TargetError::Unavailable),
            reg => Ok(self.registers(tid).get(&reg).cloned().unwrap_or_default()),
        }
    }

    fn write_register(
        &mut self,
        tid: Tid,
        reg: Register,
        value: RegisterValue,
    ) -> Result<(), TargetError> {
        self.registers(tid).insert(reg, value);
        Ok(())
    }

    fn read_memory(&mut self, _: Space, addr: u64, data: &mut [u8]) -> Result<usize, TargetError> {
        let offset = self.range(addr, data.len())?;
        let length = data.len().min(self.memory.len() - offset);
        data[..length].copy_from_slice(&self.memory[offset..offset + length]);
        Ok(length)
    }

    fn write_memory(&mut self, _: Space, addr: u64, data: &[u8]) -> Result<(), TargetError> {
        let offset = self.range(addr, data.len())?;
        let memory = self.memory.get_mut(offset..offset + data.len());
        memory.ok_or(TargetError::Unmapped { addr })?.copy_from_slice(data);
        Ok(())
    }

    fn memory_region(&mut self, _: Tid, addr: u64) -> Result<MemoryRegion, TargetError> {
        self.check();
        let access = Permissions { read: true, write: true, execute: true };
        Ok(MemoryRegion { first: addr & !0xfff, last: addr | 0xfff, access: Some(access) })
    }

    /// The breakpoint is hit at once.
    fn insert(&mut self, tid: Tid, point: Stoppoint, agent: Agent) -> Result<(), TargetError> {
        self.check();
        if point.len == 0 {
            return Err(TargetError::NoRoom { what: "breakpoints", have: 6 });
        }
        let mut vcpu = Vcpu { machine: self, tid, printed: 0 };
        let verdict = agent.on_hit(&mut vcpu);
        assert!(vcpu.printed <= MOST_PRINTED, "{} bytes printed", vcpu.printed);
        if agent == Agent::default() {
            assert_eq!(verdict, Verdict::Stop);
        }
        Ok(())
    }

    fn remove(&mut self, _: Tid, _: Stoppoint) -> Result<(), TargetError> {
        self.check();
        Ok(())
    }

    fn resume(&mut self, actions: &[(Tid, Action)]) -> Result<(), TargetError> {
        assert!(!actions.is_empty());
        assert!(actions.is_sorted_by(|one, next| one.0 < next.0));
        self.check();
        if let [(_, Action::Step)] = actions {
            return Err(TargetError::Invalid("no step alone".to_owned()));
        }
        self.is_running = true;
        Ok(())
    }

    fn interrupt(&mut self) {}

    fn monitor(
        &mut self,
        _: Tid,
        command: &str,
        print: &mut dyn FnMut(&str),
    ) -> Result<(), TargetError> {
        self.check();
        let word: String = command.chars().take(64).collect();
        (0..100).for_each(|_| print(&word));
        Ok(())
    }

    fn detach(&mut self) {
        self.check();
        self.is_running = true;
    }

    fn kill(&mut self) {
        self.is_gone = true;
        self.is_running = false;
    }

    fn restart(&mut self) -> Result<(), TargetError> {
        *self = Self::new();
        Ok(())
    }
}
