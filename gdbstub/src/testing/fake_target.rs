use std::collections::HashMap;
use std::sync::Arc;

use crate::aarch64::{Register, RegisterValue};
use crate::agent::Agent;
use crate::description::{Contents, Description};
use crate::target::{
    Action, AddressBits, MemoryRegion, Permissions, Relocation, Space, Stoppoint, Target,
    TargetError, Tid,
};

/// A machine of 16 KiB of memory that records what it is told to do.
pub struct FakeTarget {
    /// Of each thread; those that are not in it are 0.
    pub registers: Vec<HashMap<Register, RegisterValue>>,
    pub contents: Contents,
    pub labels: Vec<String>,
    pub memory: Vec<u8>,
    /// Those that are off.
    pub off: Vec<Tid>,
    /// Registers that no thread has.
    pub unavailable: Vec<Register>,
    pub exec_file: Option<String>,
    pub relocation: Relocation,
    pub words: String,
    /// Set by what resumes it, and cleared by the test that has it stop. It must not be looked at then.
    pub is_running: bool,
    pub log: Vec<String>,
    /// What the next call that can fail fails with.
    pub fail: Option<TargetError>,
}

impl FakeTarget {
    /// Where its memory starts.
    pub const BASE: u64 = 0x4000_0000;
    pub const SIZE: usize = 0x4000;

    pub fn new(threads: usize) -> Self {
        Self {
            registers: vec![HashMap::new(); threads],
            contents: Contents::default(),
            labels: (0..threads).map(|index| format!("vCPU {index}")).collect(),
            memory: vec![0; Self::SIZE],
            off: Vec::new(),
            unavailable: Vec::new(),
            exec_file: None,
            relocation: Relocation::default(),
            words: String::new(),
            is_running: false,
            log: Vec::new(),
            fail: None,
        }
    }

    pub fn value(&self, thread: usize, reg: Register) -> u128 {
        self.registers[thread].get(&reg).map_or(0, RegisterValue::as_u128)
    }

    fn record(&mut self, call: String) -> Result<(), TargetError> {
        self.log.push(call);
        self.fail.take().map_or(Ok(()), Err)
    }

    fn check(&self) {
        assert!(!self.is_running, "looked at while it runs");
    }

    /// Its memory is at 0 by physical addresses.
    fn virtual_address(space: Space, addr: u64) -> u64 {
        match space {
            Space::Virtual(_) => addr,
            Space::Physical => addr.wrapping_add(Self::BASE),
        }
    }

    /// The memory from `addr` on.
    fn at(&mut self, addr: u64) -> Result<&mut [u8], TargetError> {
        let offset = addr.wrapping_sub(Self::BASE) as usize;
        let memory = self.memory.get_mut(offset..).filter(|memory| !memory.is_empty());
        memory.ok_or(TargetError::Unmapped { addr })
    }
}

impl Target for FakeTarget {
    fn threads(&self) -> usize {
        self.registers.len()
    }

    fn thread_label(&self, tid: Tid) -> String {
        self.check();
        self.labels[tid.index()].clone()
    }

    fn is_off(&self, tid: Tid) -> bool {
        self.check();
        self.off.contains(&tid)
    }

    fn exec_file(&self) -> Option<&str> {
        self.exec_file.as_deref()
    }

    fn relocation(&mut self) -> Relocation {
        self.relocation
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
        Arc::new(Description::new(self.contents.clone()))
    }

    fn write_registers(
        &mut self,
        tid: Tid,
        values: &[(Register, RegisterValue)],
    ) -> Result<(), TargetError> {
        self.check();
        self.registers[tid.index()].extend(values.iter().cloned());
        self.fail.take().map_or(Ok(()), Err)
    }

    fn read_register(&mut self, tid: Tid, reg: Register) -> Result<RegisterValue, TargetError> {
        self.check();
        if self.unavailable.contains(&reg) {
            return Err(TargetError::Unavailable);
        }
        let value = self.registers[tid.index()].get(&reg).cloned().unwrap_or_default();
        self.fail.take().map_or(Ok(value), Err)
    }

    fn write_register(
        &mut self,
        tid: Tid,
        reg: Register,
        value: RegisterValue,
    ) -> Result<(), TargetError> {
        self.registers[tid.index()].insert(reg, value);
        self.fail.take().map_or(Ok(()), Err)
    }

    fn read_memory(
        &mut self,
        space: Space,
        addr: u64,
        data: &mut [u8],
    ) -> Result<usize, TargetError> {
        self.check();
        let addr = Self::virtual_address(space, addr);
        assert!(!data.is_empty());
        assert!(addr.checked_add(data.len() as u64 - 1).is_some());
        let memory = self.at(addr)?;
        let length = memory.len().min(data.len());
        data[..length].copy_from_slice(&memory[..length]);
        Ok(length)
    }

    fn write_memory(&mut self, space: Space, addr: u64, data: &[u8]) -> Result<(), TargetError> {
        self.check();
        let addr = Self::virtual_address(space, addr);
        assert!(!data.is_empty());
        assert!(addr.checked_add(data.len() as u64 - 1).is_some());
        let memory = self.at(addr)?.get_mut(..data.len());
        memory.ok_or(TargetError::Unmapped { addr })?.copy_from_slice(data);
        Ok(())
    }

    /// Its memory, and what lies before and behind it.
    fn memory_region(&mut self, _: Tid, addr: u64) -> Result<MemoryRegion, TargetError> {
        self.check();
        let end = Self::BASE + self.memory.len() as u64;
        Ok(if addr < Self::BASE {
            MemoryRegion { first: 0, last: Self::BASE - 1, access: None }
        } else if addr < end {
            let access = Permissions { read: true, write: false, execute: true };
            MemoryRegion { first: Self::BASE, last: end - 1, access: Some(access) }
        } else {
            MemoryRegion { first: end, last: u64::MAX, access: None }
        })
    }

    fn insert(&mut self, tid: Tid, point: Stoppoint, agent: Agent) -> Result<(), TargetError> {
        self.check();
        let Stoppoint { kind, addr, len } = point;
        let agent = if agent == Agent::default() { "" } else { " with an agent" };
        self.record(format!("insert {kind:?} {addr:#x} {len} as {}{agent}", tid.number()))
    }

    fn remove(&mut self, tid: Tid, point: Stoppoint) -> Result<(), TargetError> {
        self.check();
        let Stoppoint { kind, addr, len } = point;
        self.record(format!("remove {kind:?} {addr:#x} {len} as {}", tid.number()))
    }

    fn resume(&mut self, actions: &[(Tid, Action)]) -> Result<(), TargetError> {
        assert!(!actions.is_empty());
        assert!(actions.is_sorted_by(|one, next| one.0 < next.0));
        let actions: Vec<_> =
            actions.iter().map(|(tid, action)| format!("{} {action:?}", tid.number())).collect();
        self.check();
        self.record(format!("resume {}", actions.join(", ")))?;
        self.is_running = true;
        Ok(())
    }

    fn interrupt(&mut self) {
        self.log.push("interrupt".to_owned());
    }

    /// `say` prints `words`, `say a b` these words one by one.
    fn monitor(
        &mut self,
        tid: Tid,
        command: &str,
        print: &mut dyn FnMut(&str),
    ) -> Result<(), TargetError> {
        self.record(format!("monitor {command:?} as {}", tid.number()))?;
        match command.strip_prefix("say ") {
            Some(words) => words.split_inclusive(' ').for_each(print),
            None => print(&self.words),
        }
        Ok(())
    }

    fn detach(&mut self) {
        self.check();
        self.log.push("detach".to_owned());
        self.is_running = true;
    }

    fn kill(&mut self) {
        self.log.push("kill".to_owned());
        self.is_running = false;
    }

    fn restart(&mut self) -> Result<(), TargetError> {
        self.record("restart".to_owned())?;
        self.is_running = false;
        Ok(())
    }
}
