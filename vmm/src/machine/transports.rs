//! The virtio devices of a command line, each on its transport.

use std::sync::{Arc, Mutex};

use boot::layout;
use devices::bus::{Bus, Range};
use devices::virtio::mmio::{Mmio, QUEUE_NOTIFY};
use devices::virtio::{Backend, Front, rng};

use super::{host, network};
use crate::cli::Config;
use crate::exit::Outcome;
use crate::kvm::memory::Memory;
use crate::kvm::vm::Vm;
use crate::message::say;

/// A device that is to be put onto a transport.
pub struct Virtio {
    /// What it is called.
    pub name: &'static str,
    /// Its configuration.
    pub front: Box<dyn Front>,
    /// What serves its queues.
    pub backend: Box<dyn Backend<Memory>>,
}

/// What the devices are called, in the order of their transports.
pub fn names(config: &Config) -> Vec<&'static str> {
    ["virtio-rng"].into_iter().chain(config.net.iter().map(|_| "virtio-net")).collect()
}

/// Makes new ones.
fn devices(config: &Config) -> Result<Vec<Virtio>, Outcome> {
    let source = rng::Source::open().map_err(|error| host("/dev/urandom", &error))?;
    let rng = Virtio { name: "virtio-rng", front: Box::new(rng::Rng), backend: Box::new(source) };
    let net = config.net.as_ref().map(network::card).transpose()?;
    Ok([rng].into_iter().chain(net).collect())
}

/// Makes new ones and puts them into the guest.
pub fn insert(bus: &mut Bus, vm: &Vm, config: &Config) -> Result<(), Outcome> {
    for (number, virtio) in devices(config)?.into_iter().enumerate() {
        let Virtio { name, front, backend } = virtio;
        let Some(region) = layout::virtio_mmio(number) else {
            return Err(Outcome::Unusable(format!(
                "{name}: no room for more than {number} virtio devices"
            )));
        };
        let line =
            Box::new(vm.irq_line(layout::spi_intid(layout::VIRTIO_MMIO_SPI + number as u32)));
        let report = Arc::new(|text: &str| say(text));
        let device = Mmio::new(name, front, backend, vm.memory().clone(), line, report)
            .map_err(|error| host(name, &error))?;
        for (queue, kick) in (0..).zip(device.kicks()) {
            vm.notify(region.start() + QUEUE_NOTIFY, queue, kick)?;
        }
        let range =
            Range::new(region.start(), region.size()).map_err(|error| host("bus", &error))?;
        bus.insert(range, name, Arc::new(Mutex::new(device)))
            .map_err(|error| host("bus", &error))?;
    }
    Ok(())
}
