//! What the devices need of the host: opened before anything is started, and kept for each guest that is made.

use super::network::Wire;
use super::sockets::Sockets;
use super::storage::Storage;
use crate::cli::Config;
use crate::exit::Outcome;

/// Files, folders and sockets.
pub struct Resources {
    /// Disks and shares.
    pub storage: Storage,
    /// What the network card is connected to.
    pub net: Option<Wire>,
    /// The guest's way to Unix sockets.
    pub vsock: Option<Sockets>,
}

impl Resources {
    /// Opens them. To be called before there are threads.
    pub fn open(config: &Config) -> Result<Self, Outcome> {
        let storage = Storage::open(config)?;
        let net = config.net.as_ref().map(Wire::open).transpose()?;
        let vsock = config.vsock.as_ref().map(Sockets::open).transpose()?;
        Ok(Self { storage, net, vsock })
    }
}
