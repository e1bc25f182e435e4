//! `--console virtio` and `--port`: the virtio devices behind them.

use std::sync::Arc;
use std::time::Duration;

use devices::virtio::console::{
    Bell, Channels, ChannelsFace, Console, Socket, Terminal, TerminalFace,
};

use super::console::Line;
use super::host;
use super::transports::Virtio;
use crate::cli::Port;
use crate::debug::transport::Listener;
use crate::exit::Outcome;

/// For how long clients that are slow may take to read what the guest has sent before its end.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// The sockets that the host's clients connect to. Their files are removed when this is dropped.
pub struct Ports {
    ports: Vec<(String, Listener)>,
    bell: Arc<Bell>,
}

impl Ports {
    /// Listens. `None` if there are none.
    pub fn open(words: &[Port]) -> Result<Option<Self>, Outcome> {
        let ports = words.iter().map(|Port { name, path }| {
            let listener = Listener::unix(path).map_err(|error| {
                Outcome::Unusable(format!("--port {name}={}: {error}", path.display()))
            })?;
            Ok((name.clone(), listener))
        });
        let ports = ports.collect::<Result<Vec<_>, Outcome>>()?;
        let bell = Bell::new().map(Arc::new).map_err(|error| host("eventfd", &error))?;
        Ok((!ports.is_empty()).then_some(Self { ports, bell }))
    }

    /// What the device listens to.
    pub fn bell(&self) -> Arc<Bell> {
        self.bell.clone()
    }
}

/// Waits until what the guest, which is stopped, has sent to its ports has gone.
pub fn drain(bell: &Bell, limit: Duration) {
    bell.drain(limit.min(LAST_WORDS));
}

/// Ports for a new guest.
pub fn channels(ports: &Ports) -> Result<Virtio, Outcome> {
    let sockets = ports
        .ports
        .iter()
        .map(|(name, listener)| Socket::new(name, listener.try_clone_unix()?))
        .collect::<std::io::Result<Vec<_>>>()
        .map_err(|error| host("--port", &error))?;
    let front = Box::new(ChannelsFace::new(sockets.len()));
    let channels = Channels::new(sockets, ports.bell.clone());
    Ok(Virtio {
        name: "virtio-serial",
        front,
        backend: Box::new(channels.map_err(|error| host("--port", &error))?),
    })
}

/// A console for a new guest, by this line.
pub fn console(terminal: &Arc<Terminal>, line: &Line) -> Virtio {
    let (terminal, wire) = (terminal.clone(), || Box::new(line.clone()));
    Virtio {
        name: "virtio-console",
        front: Box::new(TerminalFace::new(terminal.clone(), wire())),
        backend: Box::new(Console::new(terminal, wire())),
    }
}
