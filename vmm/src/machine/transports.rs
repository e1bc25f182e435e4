//! The virtio devices of a command line, each on its transport.

use std::sync::{Arc, Mutex};

use boot::layout;
use devices::bus::{Bus, Range};
use devices::virtio::mmio::{Mmio, QUEUE_NOTIFY};
use devices::virtio::{Backend, Front, block, fs, rng};

use super::console::Line;
use super::resources::Resources;
use super::storage::Opened;
use super::{host, ports, sockets};
use crate::exit::Outcome;
use crate::kvm::error::Error;
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
pub fn names(resources: &Resources, line: &Line) -> Vec<&'static str> {
    let disks = resources.storage.disks.iter().map(|_| "virtio-blk");
    let shares = resources.storage.shares.iter().map(|_| "virtio-fs");
    let net = resources.net.iter().map(|_| "virtio-net");
    let vsock = resources.vsock.iter().map(|_| "virtio-vsock");
    let console = line.port().map(|_| "virtio-console");
    let ports = resources.ports.iter().map(|_| "virtio-serial");
    let first = ["virtio-rng"].into_iter().chain(disks).chain(shares);
    first.chain(net).chain(vsock).chain(console).chain(ports).collect()
}

/// Makes new ones.
fn devices(vm: &Vm, resources: &Resources, line: &Line) -> Result<Vec<Virtio>, Outcome> {
    let source = rng::Source::open().map_err(|error| host("/dev/urandom", &error))?;
    let entropy =
        Virtio { name: "virtio-rng", front: Box::new(rng::Rng), backend: Box::new(source) };
    let disks = resources.storage.disks.iter().map(|Opened { disk, face, words }| {
        let path = words.path.display().to_string();
        let on_failure = Box::new(move |what: &str| say(format_args!("--disk {path}: {what}")));
        Virtio {
            name: "virtio-blk",
            front: Box::new(face.clone()),
            backend: Box::new(block::Block::new(disk.clone(), &words.serial, on_failure)),
        }
    });
    let shares = resources.storage.shares.iter().map(|(tag, folder)| {
        Ok(Virtio {
            name: "virtio-fs",
            front: Box::new(fs::Face::new(tag)),
            backend: Box::new(fs::Fs::new(folder.clone(), vm.memory().for_shares()?)),
        })
    });
    let first = [entropy].into_iter().chain(disks).map(Ok);
    let net = resources.net.iter().map(|wire| Ok(wire.card()));
    let vsock = resources.vsock.iter().map(sockets::device);
    let console = line.port().map(|terminal| Ok(ports::console(terminal, line)));
    let ports = resources.ports.iter().map(ports::channels);
    first
        .chain(shares.map(|share| share.map_err(|error: Error| error.into())))
        .chain(net)
        .chain(vsock)
        .chain(console)
        .chain(ports)
        .collect()
}

/// Makes new ones and puts them into the guest.
pub fn insert(bus: &mut Bus, vm: &Vm, resources: &Resources, line: &Line) -> Result<(), Outcome> {
    for (number, virtio) in devices(vm, resources, line)?.into_iter().enumerate() {
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
