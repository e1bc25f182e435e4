//! What the devices need of the host: opened before anything is started, and kept for each guest that is made.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::host;
use super::network::Wire;
use super::ports::Ports;
use super::sockets::Sockets;
use super::storage::Storage;
use crate::cli::Config;
use crate::exit::Outcome;

/// Descriptors that no guest and no client of its can take, for what there is to write at the end.
const SPARE: u64 = 8;

/// Files, folders and sockets.
pub struct Resources {
    /// Disks and shares.
    pub storage: Storage,
    /// What the network card is connected to.
    pub net: Option<Wire>,
    /// The guest's way to Unix sockets.
    pub vsock: Option<Sockets>,
    /// Its channels to others.
    pub ports: Option<Ports>,
}

impl Resources {
    /// Opens them. To be called before there are threads.
    pub fn open(config: &Config) -> Result<Self, Outcome> {
        if !config.shares.is_empty() || config.vsock.is_some() {
            raise_limit().map_err(|error| host("limit of open files", &error))?;
        }
        let storage = Storage::open(config)?;
        let net = config.net.as_ref().map(Wire::open).transpose()?;
        let vsock = config.vsock.as_ref().map(Sockets::open).transpose()?;
        let ports = Ports::open(&config.ports)?;
        Ok(Self { storage, net, vsock, ports })
    }
}

/// Each file that the guest knows of is held open, and each of its connections.
fn raise_limit() -> nix::Result<()> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most.saturating_sub(SPARE), most)
}

/// From here on the spare ones may be used, too.
pub fn use_spare() {
    // Without them there may still be others.
    let _ = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, most)| setrlimit(Resource::RLIMIT_NOFILE, most, most));
}
