//! The MMIO transport (specification, 4.2). The legacy interface is not there.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use virtio_queue::{Queue, QueueT};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use super::worker::{Start, Stopped, Worker};
use super::{Backend, Broken, Front, Interrupt, Ram, Ring};
use crate::bus::{Device, Refused};
use crate::irq::IrqLine;

/// "virt".
const MAGIC: u32 = 0x7472_6976;
const VERSION: u32 = 2;
/// "mvmm".
const VENDOR: u32 = 0x6d6d_766d;

const MAGIC_VALUE: u64 = 0x000;
const VERSION_NUMBER: u64 = 0x004;
const DEVICE_ID: u64 = 0x008;
const VENDOR_ID: u64 = 0x00c;
const DEVICE_FEATURES: u64 = 0x010;
const DEVICE_FEATURES_SEL: u64 = 0x014;
const DRIVER_FEATURES: u64 = 0x020;
const DRIVER_FEATURES_SEL: u64 = 0x024;
const QUEUE_SEL: u64 = 0x030;
const QUEUE_NUM_MAX: u64 = 0x034;
const QUEUE_NUM: u64 = 0x038;
const QUEUE_READY: u64 = 0x044;
/// Where the driver writes the number of a queue that it has put something into.
pub const QUEUE_NOTIFY: u64 = 0x050;
const INTERRUPT_STATUS: u64 = 0x060;
const INTERRUPT_ACK: u64 = 0x064;
const STATUS: u64 = 0x070;
const QUEUE_DESC_LOW: u64 = 0x080;
const QUEUE_DESC_HIGH: u64 = 0x084;
const QUEUE_DRIVER_LOW: u64 = 0x090;
const QUEUE_DRIVER_HIGH: u64 = 0x094;
const QUEUE_DEVICE_LOW: u64 = 0x0a0;
const QUEUE_DEVICE_HIGH: u64 = 0x0a4;
const SHM_SEL: u64 = 0x0ac;
const SHM_LEN_LOW: u64 = 0x0b0;
const SHM_BASE_HIGH: u64 = 0x0bc;
const CONFIG_GENERATION: u64 = 0x0fc;
const CONFIG: u64 = 0x100;

/// Device status (2.1).
const FEATURES_OK: u32 = 8;
const DRIVER_OK: u32 = 4;
const NEEDS_RESET: u32 = 64;

/// Lines that a device says at most.
const TOLD: u32 = 8;

/// Features of every device (6): indirect descriptors, fewer notifications, and the interface of version 1.
const INDIRECT_DESC: u64 = 1 << 28;
const EVENT_IDX: u64 = 1 << 29;
const VERSION_1: u64 = 1 << 32;
const TRANSPORT: u64 = INDIRECT_DESC | EVENT_IDX | VERSION_1;

/// A device behind its registers.
pub struct Mmio<M: Ram> {
    name: &'static str,
    front: Box<dyn Front>,
    /// Where it is not on the worker's thread.
    backend: Option<Box<dyn Backend<M>>>,
    /// Also one that could not be stopped.
    worker: Option<Worker<M>>,
    memory: Arc<M>,
    interrupt: Arc<Interrupt>,
    queues: Vec<Queue>,
    kicks: Vec<Arc<EventFd>>,
    /// The worker sets [`NEEDS_RESET`].
    status: Arc<AtomicU32>,
    features: u64,
    device_features_sel: u32,
    driver_features_sel: u32,
    queue_sel: u32,
    report: Arc<dyn Fn(&str) + Send + Sync>,
}

impl<M: Ram> Mmio<M> {
    /// A device with this name. `report` gets a line for the user if it cannot go on.
    pub fn new(
        name: &'static str,
        front: Box<dyn Front>,
        backend: Box<dyn Backend<M>>,
        memory: M,
        line: Box<dyn IrqLine>,
        report: Arc<dyn Fn(&str) + Send + Sync>,
    ) -> io::Result<Self> {
        let sizes = front.queues();
        let queues = sizes.iter().map(|size| Queue::new(*size).map_err(io::Error::other));
        let kicks = sizes.iter().map(|_| EventFd::new(EFD_NONBLOCK).map(Arc::new));
        Ok(Self {
            name,
            queues: queues.collect::<io::Result<_>>()?,
            kicks: kicks.collect::<io::Result<_>>()?,
            front,
            backend: Some(backend),
            worker: None,
            memory: Arc::new(memory),
            interrupt: Arc::new(Interrupt::new(line)),
            status: Arc::default(),
            features: 0,
            device_features_sel: 0,
            driver_features_sel: 0,
            queue_sel: 0,
            report: Arc::new(first_of(report)),
        })
    }

    /// What the device waits at, a queue each: whoever signals one spares the vCPU the way to [`QUEUE_NOTIFY`].
    pub fn kicks(&self) -> &[Arc<EventFd>] {
        &self.kicks
    }

    fn offered(&self) -> u64 {
        self.front.features() | TRANSPORT
    }

    fn queue(&self) -> Option<&Queue> {
        self.queues.get(self.queue_sel as usize)
    }

    /// The selected queue, unless it is in use.
    fn queue_mut(&mut self) -> Option<&mut Queue> {
        let is_running = self.worker.is_some();
        self.queues.get_mut(self.queue_sel as usize).filter(|queue| !is_running && !queue.ready())
    }

    fn read_register(&self, offset: u64) -> Result<u32, Refused> {
        Ok(match offset {
            MAGIC_VALUE => MAGIC,
            VERSION_NUMBER => VERSION,
            DEVICE_ID => self.front.id(),
            VENDOR_ID => VENDOR,
            DEVICE_FEATURES => half(self.offered(), self.device_features_sel),
            QUEUE_NUM_MAX => self.queue().map_or(0, |queue| queue.max_size().into()),
            QUEUE_READY => self.queue().is_some_and(QueueT::ready).into(),
            INTERRUPT_STATUS => self.interrupt.status(),
            STATUS => self.status.load(Ordering::Acquire),
            // There is no shared memory: a length of -1 (4.2.2.1).
            SHM_LEN_LOW..=SHM_BASE_HIGH => u32::MAX,
            CONFIG_GENERATION => self.front.generation(),
            _ => return Err(Refused("no register to be read there")),
        })
    }

    fn write_register(&mut self, offset: u64, value: u32) -> Result<(), Refused> {
        let low = Some(value);
        match offset {
            DEVICE_FEATURES_SEL => self.device_features_sel = value,
            DRIVER_FEATURES_SEL => self.driver_features_sel = value,
            DRIVER_FEATURES => self.accept(value),
            QUEUE_SEL => self.queue_sel = value,
            QUEUE_NUM => self.set_up(|queue| queue.set_size(value as u16)),
            QUEUE_READY => {
                let is_running = self.worker.is_some();
                if let Some(queue) =
                    self.queues.get_mut(self.queue_sel as usize).filter(|_| !is_running)
                {
                    queue.set_ready(value == 1);
                }
            }
            QUEUE_NOTIFY => {
                if let Some(kick) = self.kicks.get(value as usize) {
                    // It is full only with more than the device can have missed.
                    let _ = kick.write(1);
                }
            }
            INTERRUPT_ACK => self.interrupt.acknowledge(value),
            STATUS => self.set_status(value),
            QUEUE_DESC_LOW => self.set_up(|queue| queue.set_desc_table_address(low, None)),
            QUEUE_DESC_HIGH => self.set_up(|queue| queue.set_desc_table_address(None, low)),
            QUEUE_DRIVER_LOW => self.set_up(|queue| queue.set_avail_ring_address(low, None)),
            QUEUE_DRIVER_HIGH => self.set_up(|queue| queue.set_avail_ring_address(None, low)),
            QUEUE_DEVICE_LOW => self.set_up(|queue| queue.set_used_ring_address(low, None)),
            QUEUE_DEVICE_HIGH => self.set_up(|queue| queue.set_used_ring_address(None, low)),
            SHM_SEL => {}
            _ => return Err(Refused("no register to be written there")),
        }
        Ok(())
    }

    fn set_up(&mut self, change: impl FnOnce(&mut Queue)) {
        if let Some(queue) = self.queue_mut() {
            change(queue);
        }
    }

    /// Half of the features that the driver wants.
    fn accept(&mut self, value: u32) {
        // 3.1.1: until FEATURES_OK.
        if self.status.load(Ordering::Acquire) & FEATURES_OK != 0 {
            return;
        }
        let value = u64::from(value);
        self.features = match self.driver_features_sel {
            0 => self.features & !0xffff_ffff | value,
            1 => self.features & 0xffff_ffff | value << 32,
            _ => self.features,
        };
    }

    fn set_status(&mut self, value: u32) {
        if value == 0 {
            self.reset();
            return;
        }
        let old = self.status.load(Ordering::Acquire);
        let mut new = value & !NEEDS_RESET;
        let is_wrong = self.features & !self.offered() != 0 || self.features & VERSION_1 == 0;
        if new & FEATURES_OK != 0 && old & FEATURES_OK == 0 && is_wrong {
            // How the driver learns that this does not work (2.2.2).
            new &= !FEATURES_OK;
        }
        // The worker may set that one at any time.
        self.status.fetch_and(new | NEEDS_RESET, Ordering::AcqRel);
        self.status.fetch_or(new, Ordering::AcqRel);
        if new & DRIVER_OK != 0 && old & DRIVER_OK == 0 && new & FEATURES_OK != 0 {
            self.start();
        }
    }

    /// Has the backend serve what the driver has set up. A queue that is not ready stays empty.
    fn start(&mut self) {
        let on_broken = self.breakage();
        if self.backend.is_none() {
            on_broken(&Broken("what serves it is lost".to_owned()));
            return;
        }
        let is_stopping = Arc::new(AtomicBool::new(false));
        let memory = self.memory.clone();
        let invalid =
            self.queues.iter().position(|queue| queue.ready() && !queue.is_valid(&*memory));
        if let Some(queue) = invalid {
            on_broken(&Broken(format!("queue {queue} does not lie in RAM, or is not aligned")));
            return;
        }
        let event_idx = self.features & EVENT_IDX != 0;
        let rings = self.queues.iter_mut().map(|queue| {
            queue.set_event_idx(event_idx);
            let queue = std::mem::replace(queue, copy(queue));
            Ring::new(queue, memory.clone(), self.interrupt.clone(), is_stopping.clone())
        });
        let start = Start {
            name: self.name,
            features: self.features,
            rings: rings.collect(),
            kicks: self.kicks.clone(),
            is_stopping,
            on_broken,
        };
        match Worker::start(start, &mut self.backend) {
            Ok(worker) => self.worker = Some(worker),
            Err(error) => (self.breakage())(&error.into()),
        }
    }

    /// What happens when the device cannot go on.
    fn breakage(&self) -> Box<dyn FnOnce(&Broken) + Send> {
        let (name, status, interrupt, report) =
            (self.name, self.status.clone(), self.interrupt.clone(), self.report.clone());
        Box::new(move |broken| {
            status.fetch_or(NEEDS_RESET, Ordering::AcqRel);
            report(&format!("{name}: {broken}; it does no more until the guest resets it"));
            interrupt.configuration();
        })
    }

    /// False if something still uses what the driver gave the device.
    fn stop(&mut self) -> bool {
        let Some(worker) = &mut self.worker else { return true };
        let is_known = worker.is_given_up;
        match worker.stop() {
            Stopped::Ended(backend) => (self.backend, self.worker) = (backend, None),
            Stopped::Stuck if is_known => {}
            Stopped::Stuck => (self.report)(&format!(
                "{}: the host does not finish a request; it does no more until that is done and the guest resets it",
                self.name
            )),
        }
        self.worker.is_none()
    }

    /// As at power-on (2.4).
    fn reset(&mut self) {
        let status = if self.stop() { 0 } else { NEEDS_RESET };
        self.queues.iter_mut().for_each(QueueT::reset);
        for kick in &self.kicks {
            // Only what the last driver left there.
            let _ = kick.read();
        }
        self.interrupt.acknowledge(u32::MAX);
        self.status.store(status, Ordering::Release);
        (self.features, self.queue_sel) = (0, 0);
        (self.device_features_sel, self.driver_features_sel) = (0, 0);
    }
}

impl<M: Ram> Drop for Mmio<M> {
    fn drop(&mut self) {
        self.stop();
    }
}

impl<M: Ram> Device for Mmio<M> {
    fn read(&mut self, offset: u64, data: &mut [u8]) -> Result<(), Refused> {
        if let Some(offset) = offset.checked_sub(CONFIG) {
            self.front.read(offset, data);
            return Ok(());
        }
        let word = <&mut [u8; 4]>::try_from(data).map_err(|_| NOT_A_WORD)?;
        *word = self.read_register(offset)?.to_le_bytes();
        Ok(())
    }

    fn write(&mut self, offset: u64, data: &[u8]) -> Result<(), Refused> {
        if let Some(offset) = offset.checked_sub(CONFIG) {
            return self.front.write(offset, data);
        }
        let word = data.try_into().map_err(|_| NOT_A_WORD)?;
        self.write_register(offset, u32::from_le_bytes(word))
    }
}

/// Tells the first few lines: a guest can break and reset its devices for ever.
fn first_of(report: Arc<dyn Fn(&str) + Send + Sync>) -> impl Fn(&str) + Send + Sync {
    let told = AtomicU32::new(0);
    let more = |told| (told < TOLD).then_some(told + 1);
    move |text| match told.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more) {
        Ok(before) if before + 1 == TOLD => report(&format!("{text} (more is not told)")),
        Ok(_) => report(text),
        Err(_) => {}
    }
}

/// 4.2.2.2: 32 bits and aligned.
const NOT_A_WORD: Refused = Refused("registers are read and written as words of 32 bits");

fn half(word: u64, which: u32) -> u32 {
    match which {
        0 => word as u32,
        1 => (word >> 32) as u32,
        _ => 0,
    }
}

/// What the registers show of a queue that is the worker's.
fn copy(queue: &Queue) -> Queue {
    Queue::try_from(queue.state()).unwrap_or_else(|_| Queue::default())
}
