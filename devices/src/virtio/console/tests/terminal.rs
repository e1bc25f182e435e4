use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::bus::Device;
use crate::virtio::console::{Console, RECEIVE, Size, TRANSMIT, Terminal, TerminalFace};
use crate::virtio::tests::driver::Driver;
use crate::wire::Wire;

const F_SIZE: u64 = 1;
const F_EMERG_WRITE: u64 = 4;
/// The configuration space.
const CONFIG: u64 = 0x100;
const LIMIT: Duration = Duration::from_secs(20);

/// Has room for this many bytes.
#[derive(Clone)]
struct FakeWire {
    room: Arc<Mutex<usize>>,
    sent: Sender<Vec<u8>>,
    invited: Sender<()>,
}

impl Wire for FakeWire {
    fn transmit(&mut self, bytes: &[u8]) -> usize {
        let mut room = self.room.lock().unwrap();
        let taken = bytes.len().min(*room);
        *room -= taken;
        let _ = self.sent.send(bytes[..taken].to_vec());
        taken
    }

    fn receive_ready(&mut self) {
        let _ = self.invited.send(());
    }
}

struct Setting {
    driver: Driver,
    terminal: Arc<Terminal>,
    room: Arc<Mutex<usize>>,
    sent: Receiver<Vec<u8>>,
    invited: Receiver<()>,
}

impl Setting {
    fn new(size: Option<Size>, room: usize) -> Self {
        let terminal = Arc::new(Terminal::new(size).unwrap());
        let (sender, sent) = channel();
        let (host, invited) = channel();
        let room = Arc::new(Mutex::new(room));
        let wire = FakeWire { room: room.clone(), sent: sender, invited: host };
        let face = TerminalFace::new(terminal.clone(), Box::new(wire.clone()));
        let driver = Driver::new(face, Console::new(terminal.clone(), Box::new(wire)));
        Self { driver, terminal, room, sent, invited }
    }

    /// What has come, until it is this long.
    fn sent(&self, len: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while bytes.len() < len {
            bytes.extend(self.sent.recv_timeout(LIMIT).expect("more bytes"));
        }
        bytes
    }

    fn config(&mut self, offset: u64) -> u16 {
        let mut bytes = [0; 2];
        self.driver.device.read(CONFIG + offset, &mut bytes).unwrap();
        u16::from_le_bytes(bytes)
    }
}

#[test]
fn bytes_go_both_ways_and_what_is_typed_ahead_waits_for_the_driver() {
    let mut setting = Setting::new(None, usize::MAX);
    assert_eq!(setting.terminal.receive(b"early"), 5);
    setting.driver.begin(0, 2);

    assert_eq!(setting.driver.ask(TRANSMIT, &[b"hello, ", b"world"], &[]).0, 0);
    assert_eq!(setting.sent(12), b"hello, world");
    assert_eq!(setting.driver.ask(RECEIVE, &[], &[3, 1]), (4, b"earl".to_vec()));
    assert_eq!(setting.driver.ask(RECEIVE, &[], &[8]), (1, b"y".to_vec()));
    setting.driver.put(RECEIVE, &[], &[8]);
    setting.driver.notify(RECEIVE);
    setting.terminal.receive(b"late");
    assert_eq!(setting.driver.answer(RECEIVE), 4);
    assert_eq!(setting.driver.buffer(RECEIVE, 0, 4), b"late");
}

#[test]
fn a_slow_reader_gets_each_byte_once() {
    let mut setting = Setting::new(None, 5);
    setting.driver.begin(0, 2);
    setting.driver.put(TRANSMIT, &[b"0123", b"456789"], &[]);
    setting.driver.notify(TRANSMIT);
    assert_eq!(setting.sent(5), b"01234");

    *setting.room.lock().unwrap() = 2;
    setting.terminal.transmit_ready();
    assert_eq!(setting.sent(2), b"56");
    *setting.room.lock().unwrap() = 100;
    setting.terminal.transmit_ready();

    assert_eq!(setting.driver.answer(TRANSMIT), 0);
    assert_eq!(setting.sent(3), b"789");
    // The next one begins at its beginning.
    setting.driver.ask(TRANSMIT, &[b"next"], &[]);
    assert_eq!(setting.sent(4), b"next");
}

#[test]
fn whoever_types_too_much_is_held_back_and_asked_again_once() {
    let mut setting = Setting::new(None, usize::MAX);
    let paste = vec![b'x'; 5000];
    assert_eq!(setting.terminal.receive(&paste), 4096);
    assert_eq!(setting.terminal.receive(&paste[4096..]), 0);
    setting.driver.begin(0, 2);
    assert!(setting.invited.try_recv().is_err());

    assert_eq!(setting.driver.ask(RECEIVE, &[], &[4000]).0, 4000);
    assert!(setting.invited.try_recv().is_err(), "not for 4000 bytes");
    assert_eq!(setting.driver.ask(RECEIVE, &[], &[4000]).0, 96);

    setting.invited.recv_timeout(LIMIT).unwrap();
    assert_eq!(setting.terminal.receive(&paste[4096..]), 904);
    assert_eq!(setting.driver.ask(RECEIVE, &[], &[4000]).0, 904);
    assert!(setting.invited.try_recv().is_err());
}

#[test]
fn the_size_is_told_when_the_guest_has_begun_to_talk_and_when_it_changes() {
    let mut setting = Setting::new(Some(Size { cols: 80, rows: 25 }), usize::MAX);
    assert_eq!(setting.driver.features() & 7, F_SIZE | F_EMERG_WRITE);
    assert_eq!((setting.config(0), setting.config(2)), (80, 25));
    setting.driver.begin(F_SIZE, 2);

    setting.driver.put(TRANSMIT, &[b"a"], &[]);
    setting.driver.notify(TRANSMIT);
    while setting.driver.interrupt() & 2 == 0 {}
    setting.terminal.resize(Size { cols: 100, rows: 40 });

    while setting.driver.interrupt() & 2 == 0 {}
    assert_eq!((setting.config(0), setting.config(2)), (100, 40));
    assert_eq!(setting.driver.read(0x0fc), 1, "ConfigGeneration");
}

#[test]
fn what_is_no_terminal_has_no_size() {
    let mut setting = Setting::new(None, usize::MAX);

    assert_eq!(setting.driver.features() & 7, F_EMERG_WRITE);
    assert_eq!((setting.config(0), setting.config(2)), (0, 0));
    setting.terminal.resize(Size { cols: 1, rows: 1 });
    assert_eq!((setting.config(0), setting.config(2)), (0, 0));
}

#[test]
fn an_emergency_write_takes_no_driver() {
    let mut setting = Setting::new(None, 2);

    setting.driver.device.write(CONFIG + 8, &u32::from(b'!').to_le_bytes()).unwrap();
    setting.driver.device.write(CONFIG + 8, b"?").unwrap();

    assert_eq!(setting.sent(2), b"!?");
    assert!(setting.driver.device.write(CONFIG + 8, b"#").is_err(), "there is no room");
    assert!(setting.driver.device.write(CONFIG, &[0; 2]).is_err());
    assert!(setting.driver.device.write(CONFIG + 8, b"").is_err());
}

#[test]
fn whoever_drains_it_waits_for_the_queue_and_for_nothing_else() {
    let mut setting = Setting::new(None, 0);
    // Nobody is there.
    setting.terminal.drain(LIMIT);
    setting.driver.begin(0, 2);
    setting.terminal.drain(LIMIT);
    setting.driver.put(TRANSMIT, &[b"last words"], &[]);
    setting.driver.notify(TRANSMIT);

    let terminal = setting.terminal.clone();
    let waiter = std::thread::spawn(move || terminal.drain(LIMIT));
    // Refused at least once.
    assert_eq!(setting.sent.recv_timeout(LIMIT).unwrap(), b"");
    *setting.room.lock().unwrap() = 100;
    setting.terminal.transmit_ready();

    waiter.join().unwrap();
    assert_eq!(setting.sent(10), b"last words");
}

#[test]
fn after_a_reset_the_next_driver_goes_on() {
    let mut setting = Setting::new(None, 3);
    setting.driver.begin(0, 2);
    setting.driver.put(TRANSMIT, &[b"of the first"], &[]);
    setting.driver.notify(TRANSMIT);
    assert_eq!(setting.sent(3), b"of ");
    setting.driver.write(0x070, 0);
    setting.terminal.receive(b"typed");

    *setting.room.lock().unwrap() = 100;
    setting.driver.begin(0, 2);

    setting.driver.ask(TRANSMIT, &[b"second"], &[]);
    assert_eq!(setting.sent(6), b"second");
    assert_eq!(setting.driver.ask(RECEIVE, &[], &[8]).1, b"typed");
}

#[test]
fn a_buffer_outside_of_memory_stops_the_device() {
    let mut setting = Setting::new(None, usize::MAX);
    setting.driver.begin(0, 2);
    // Longer than memory, and empty ones.
    setting.driver.put(RECEIVE, &[], &[0]);
    setting.driver.notify(RECEIVE);
    assert_eq!(setting.driver.answer(RECEIVE), 0);
    setting.driver.put(RECEIVE, &[], &[u32::MAX]);
    setting.driver.notify(RECEIVE);
    while setting.driver.interrupt() & 2 == 0 {}

    assert_eq!(setting.driver.reports.lock().unwrap().len(), 1);
    setting.terminal.drain(LIMIT);
}
