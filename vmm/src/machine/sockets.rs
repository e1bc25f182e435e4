//! `--vsock`: the guest's connections to Unix sockets of the host's.

use devices::virtio::vsock::{Switch, Vsock};

use super::host;
use super::transports::Virtio;
use crate::cli::vsock::Vsock as Words;
use crate::debug::transport::Listener;
use crate::exit::Outcome;

/// The socket that the host's clients connect to. Its file is removed when this is dropped.
pub struct Sockets {
    words: Words,
    listener: Listener,
}

impl Sockets {
    /// Listens.
    pub fn open(words: &Words) -> Result<Self, Outcome> {
        let listener = Listener::unix(&words.path).map_err(|error| {
            Outcome::Unusable(format!("--vsock path={}: {error}", words.path.display()))
        })?;
        Ok(Self { words: words.clone(), listener })
    }
}

/// A device for a new guest.
pub fn device(sockets: &Sockets) -> Result<Virtio, Outcome> {
    let Sockets { words, listener } = sockets;
    let switch = listener
        .try_clone_unix()
        .and_then(|listener| Switch::new(words.cid, &words.path, listener));
    let switch = switch.map_err(|error| host("--vsock", &error))?;
    Ok(Virtio {
        name: "virtio-vsock",
        front: Box::new(Vsock::new(words.cid)),
        backend: Box::new(switch),
    })
}
