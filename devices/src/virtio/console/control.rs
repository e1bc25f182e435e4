//! Messages about ports, between driver and device (specification, 5.3.6.2).

/// Bytes of `struct virtio_console_control`, in front of a name.
pub(super) const HEADER: usize = 8;

const DEVICE_READY: u16 = 0;
const PORT_ADD: u16 = 1;
const PORT_READY: u16 = 3;
const PORT_OPEN: u16 = 6;
const PORT_NAME: u16 = 7;

/// What the driver says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Word {
    /// It has begun, or it could not.
    DeviceReady(bool),
    /// It knows this port, or it could not make it.
    PortReady(u32, bool),
    /// Somebody in the guest has opened or closed it.
    PortOpen(u32, bool),
}

impl Word {
    /// `None` for what a driver does not say.
    pub(super) fn decode(bytes: [u8; HEADER]) -> Option<Self> {
        let [i0, i1, i2, i3, e0, e1, v0, v1] = bytes;
        let (id, is_so) = (u32::from_le_bytes([i0, i1, i2, i3]), u16::from_le_bytes([v0, v1]) == 1);
        match u16::from_le_bytes([e0, e1]) {
            DEVICE_READY => Some(Self::DeviceReady(is_so)),
            PORT_READY => Some(Self::PortReady(id, is_so)),
            PORT_OPEN => Some(Self::PortOpen(id, is_so)),
            _ => None,
        }
    }
}

/// How much of a port the driver was told.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
enum Told {
    #[default]
    Nothing,
    /// That there is one.
    Number,
    Name,
}

/// What the driver has been told of a port, and what it has said about it.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Port {
    told: Told,
    /// The driver knows it.
    pub(super) is_ready: bool,
    /// Somebody in the guest has it open.
    pub(super) is_open: bool,
    /// What the driver was told of the host's end; it begins closed.
    pub(super) is_told_open: bool,
}

impl Port {
    /// The next message about this port to a driver that has begun, if there is something to say. It counts as told.
    pub(super) fn next(&mut self, id: u32, name: &str, is_open: bool) -> Option<Vec<u8>> {
        let message = |event: u16, value: u16| {
            let (id, event, value) = (id.to_le_bytes(), event.to_le_bytes(), value.to_le_bytes());
            [&id[..], &event, &value].concat()
        };
        if self.told == Told::Nothing {
            self.told = Told::Number;
            return Some(message(PORT_ADD, 0));
        }
        if !self.is_ready {
            return None;
        }
        if self.told == Told::Number {
            self.told = Told::Name;
            // Without a NUL.
            return Some([&message(PORT_NAME, 1), name.as_bytes()].concat());
        }
        if self.is_told_open != is_open {
            self.is_told_open = is_open;
            return Some(message(PORT_OPEN, is_open.into()));
        }
        None
    }
}
