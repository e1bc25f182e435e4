//! The network card, and what it is connected to.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use devices::virtio::net::{self, Carrier, Link, Shared, Stream, Tap};

use super::transports::Virtio;
use crate::cli::network::{Net, Network};
use crate::exit::Outcome;
use crate::kvm::tap;
use crate::message::say;

/// What the guests' card is connected to, one after the other.
pub struct Wire {
    /// As the user has it.
    name: String,
    mac: [u8; 6],
    carrier: Shared,
}

impl Wire {
    /// Opens or connects it.
    pub fn open(net: &Net) -> Result<Self, Outcome> {
        let (name, carrier) = match &net.network {
            Network::Tap(name) => (format!("--net tap={name}"), tap(name)),
            Network::Passt(path) => {
                let carrier =
                    Stream::connect(path).map(|stream| Arc::new(Mutex::new(stream)) as Shared);
                let carrier = carrier
                    .map_err(|error| format!("{error}, expected the socket of a running passt"));
                (format!("--net passt={}", path.display()), carrier)
            }
        };
        let carrier = carrier.map_err(|what| Outcome::Unusable(format!("{name}: {what}")))?;
        Ok(Self { name, mac: net.mac, carrier })
    }

    /// A card for a new guest.
    pub fn card(&self) -> Virtio {
        let link = Link::new(true.into());
        let front = {
            let carrier = self.carrier.lock().unwrap_or_else(PoisonError::into_inner);
            net::Net::new(self.mac, &*carrier, link.clone())
        };
        let name = self.name.clone();
        let report = Box::new(move |what: &str| say(format_args!("{name}: {what}")));
        let backend = Carrier::new(self.carrier.clone(), link, report);
        Virtio { name: "virtio-net", front: Box::new(front), backend: Box::new(backend) }
    }
}

fn tap(name: &str) -> Result<Shared, String> {
    let file = tap::open(name).map_err(|error| {
        let hint = match (error.raw_os_error(), error.kind()) {
            (Some(libc::ENODEV), _) => {
                ", expected an interface that is there (ip tuntap add NAME mode tap user $USER)"
            }
            (Some(libc::EPERM | libc::EACCES), _) => {
                ", expected an interface that is yours (ip tuntap add NAME mode tap user $USER)"
            }
            (Some(libc::EINVAL), _) => ", expected a TAP interface with one queue",
            (Some(libc::EBUSY), _) => ", expected an interface that nobody else has open",
            (None, io::ErrorKind::NotFound) => ": the host has no TAP interfaces",
            _ => "",
        };
        format!("{error}{hint}")
    })?;
    Ok(Arc::new(Mutex::new(Tap::new(file, Box::new(tap::set_offload)))))
}
