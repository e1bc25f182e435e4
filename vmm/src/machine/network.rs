//! The network card, and what it is connected to.

use std::io;

use devices::virtio::Backend;
use devices::virtio::net::{self, Carrier, Stream, Tap};

use super::transports::Virtio;
use crate::cli::network::{Net, Network};
use crate::exit::Outcome;
use crate::kvm::memory::Memory;
use crate::kvm::tap;

/// The guest's network card, connected.
pub fn card(net: &Net) -> Result<Virtio, Outcome> {
    let backend: Box<dyn Backend<Memory>> = match &net.network {
        Network::Tap(name) => {
            let file = tap::open(name).map_err(|error| {
                let hint = match error.kind() {
                    io::ErrorKind::PermissionDenied => {
                        " (make it yours first: ip tuntap add mode tap user $USER)"
                    }
                    io::ErrorKind::NotFound => " (/dev/net/tun: the host has no TAP interfaces)",
                    _ => "",
                };
                Outcome::Unusable(format!("--net tap={name}: {error}{hint}"))
            })?;
            Box::new(Carrier::new(Tap::new(file)))
        }
        Network::Passt(path) => {
            let stream = Stream::connect(path).map_err(|error| {
                Outcome::Unusable(format!(
                    "--net passt={}: {error}, expected the socket of a running passt",
                    path.display()
                ))
            })?;
            Box::new(Carrier::new(stream))
        }
    };
    Ok(Virtio { name: "virtio-net", front: Box::new(net::Net::new(net.mac)), backend })
}
