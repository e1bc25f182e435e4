//! A host that takes as much as it is told to.

use std::sync::{Arc, Mutex};

use crate::wire::Wire;

/// Clones share the wire.
#[derive(Clone, Default)]
pub(super) struct FakeWire(Arc<Mutex<Host>>);

#[derive(Default)]
struct Host {
    sent: Vec<u8>,
    /// Bytes it still takes; `None` for any number.
    room: Option<usize>,
    invitations: usize,
}

impl FakeWire {
    /// Takes this many bytes more, then is busy.
    pub(super) fn set_room(&self, bytes: usize) {
        self.0.lock().unwrap().room = Some(bytes);
    }

    /// Every byte taken so far.
    pub(super) fn sent(&self) -> Vec<u8> {
        self.0.lock().unwrap().sent.clone()
    }

    /// Calls of `receive_ready` since the last time this was asked.
    pub(super) fn take_invitations(&self) -> usize {
        std::mem::take(&mut self.0.lock().unwrap().invitations)
    }
}

impl Wire for FakeWire {
    fn transmit(&mut self, bytes: &[u8]) -> usize {
        assert!(!bytes.is_empty(), "called for nothing");
        let mut host = self.0.lock().unwrap();
        let taken = host.room.map_or(bytes.len(), |room| room.min(bytes.len()));
        host.room = host.room.map(|room| room - taken);
        host.sent.extend(&bytes[..taken]);
        taken
    }

    fn receive_ready(&mut self) {
        self.0.lock().unwrap().invitations += 1;
    }
}
