//! The virtio devices of a command line, each on its transport.

use std::sync::{Arc, Mutex};

use boot::layout;
use devices::bus::{Bus, Range};
use devices::virtio::mmio::{Mmio, QUEUE_NOTIFY};
use devices::virtio::{Backend, Front, block, fs, rng};

use super::host;
use super::storage::{Opened, Storage};
use crate::exit::Outcome;
use crate::kvm::error::Error;
use crate::kvm::memory::Memory;
use crate::kvm::vm::Vm;
use crate::message::say;

/// A device that is to be put onto a transport.
struct Virtio {
    name: &'static str,
    front: Box<dyn Front>,
    backend: Box<dyn Backend<Memory>>,
}

/// What the devices are called, in the order of their transports.
pub fn names(storage: &Storage) -> Vec<&'static str> {
    let disks = storage.disks.iter().map(|_| "virtio-blk");
    let shares = storage.shares.iter().map(|_| "virtio-fs");
    ["virtio-rng"].into_iter().chain(disks).chain(shares).collect()
}

/// Makes new ones.
fn devices(vm: &Vm, storage: &Storage) -> Result<Vec<Virtio>, Outcome> {
    let source = rng::Source::open().map_err(|error| host("/dev/urandom", &error))?;
    let entropy =
        Virtio { name: "virtio-rng", front: Box::new(rng::Rng), backend: Box::new(source) };
    let disks = storage.disks.iter().map(|Opened { disk, words }| {
        let path = words.path.display().to_string();
        let on_failure = Box::new(move |what: &str| say(format_args!("--disk {path}: {what}")));
        Virtio {
            name: "virtio-blk",
            front: Box::new(block::Face::new(disk)),
            backend: Box::new(block::Block::new(disk.clone(), &words.serial, on_failure)),
        }
    });
    let shares = storage.shares.iter().map(|(tag, folder)| {
        Ok(Virtio {
            name: "virtio-fs",
            front: Box::new(fs::Face::new(tag)),
            backend: Box::new(fs::Fs::new(folder.clone(), vm.memory().for_shares()?)),
        })
    });
    let first = [entropy].into_iter().chain(disks).map(Ok);
    first.chain(shares).collect::<Result<_, Error>>().map_err(Outcome::from)
}

/// Makes new ones and puts them into the guest.
pub fn insert(bus: &mut Bus, vm: &Vm, storage: &Storage) -> Result<(), Outcome> {
    for (number, virtio) in devices(vm, storage)?.into_iter().enumerate() {
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
