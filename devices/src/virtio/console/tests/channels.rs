use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::virtio::console::{Bell, Channels, ChannelsFace, Socket};
use crate::virtio::tests::driver::Driver;

const F_MULTIPORT: u64 = 2;
const TO_DRIVER: usize = 2;
const FROM_DRIVER: usize = 3;
/// Of the first port, which is number 1; then those of the second.
const RECEIVE: usize = 4;
const TRANSMIT: usize = 5;
const LIMIT: Duration = Duration::from_secs(20);

const DEVICE_READY: u16 = 0;
const PORT_ADD: u16 = 1;
const PORT_READY: u16 = 3;
const PORT_OPEN: u16 = 6;
const PORT_NAME: u16 = 7;

fn message(port: u32, event: u16, value: u16) -> Vec<u8> {
    [&port.to_le_bytes()[..], &event.to_le_bytes(), &value.to_le_bytes()].concat()
}

/// A driver of ports called `a` and `b`, and the folder with their sockets.
struct Setting {
    driver: Driver,
    bell: Arc<Bell>,
    folder: PathBuf,
    /// What came early.
    told: Vec<Vec<u8>>,
}

impl Setting {
    fn new(name: &str) -> Self {
        let folder =
            std::env::temp_dir().join(format!("minivmm-ports-{}-{name}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        let socket = |name: &str| {
            let listener = UnixListener::bind(folder.join(name)).unwrap();
            Socket::new(name, listener).unwrap()
        };
        let bell = Arc::new(Bell::new().unwrap());
        let channels = Channels::new(vec![socket("a"), socket("b")], bell.clone()).unwrap();
        let driver = Driver::new(ChannelsFace::new(2), channels);
        Self { driver, bell, folder, told: Vec::new() }
    }

    /// As Linux begins.
    fn begin(&mut self) {
        self.driver.begin(F_MULTIPORT, 8);
        self.say(&message(u32::MAX, DEVICE_READY, 1));
        let mut named = 0;
        while named < 2 {
            let told = self.hear_now();
            let port = u32::from(told[0]);
            if told == message(port, PORT_ADD, 0) {
                self.say(&message(port, PORT_READY, 1));
            } else if told == message(port, PORT_OPEN, 1) {
                self.told.push(told);
            } else {
                let name: &[u8] = if port == 1 { b"a" } else { b"b" };
                assert_eq!(told, [&message(port, PORT_NAME, 1)[..], name].concat());
                named += 1;
            }
        }
        self.say(&message(1, PORT_OPEN, 1));
    }

    fn say(&mut self, message: &[u8]) {
        assert_eq!(self.driver.ask(FROM_DRIVER, &[message], &[]).0, 0);
    }

    fn hear(&mut self) -> Vec<u8> {
        if let Some(told) = self.told.pop() {
            return told;
        }
        self.hear_now()
    }

    fn hear_now(&mut self) -> Vec<u8> {
        self.driver.ask(TO_DRIVER, &[], &[64]).1
    }

    fn client(&self) -> UnixStream {
        let client = UnixStream::connect(self.folder.join("a")).unwrap();
        client.set_read_timeout(Some(LIMIT)).unwrap();
        client
    }

    fn send(&mut self, bytes: &[u8]) {
        assert_eq!(self.driver.ask(TRANSMIT, &[bytes], &[]).0, 0);
    }

    fn receive(&mut self, room: u32) -> Vec<u8> {
        self.driver.ask(RECEIVE, &[], &[room]).1
    }
}

impl Drop for Setting {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn read(client: &mut UnixStream, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    client.read_exact(&mut bytes).unwrap();
    bytes
}

#[test]
fn a_client_and_the_guest_talk_and_hear_of_each_other() {
    let mut setting = Setting::new("talk");
    let mut client = setting.client();
    client.write_all(b"waits for the guest").unwrap();
    setting.begin();

    assert_eq!(setting.hear(), message(1, PORT_OPEN, 1));
    assert_eq!(setting.receive(64), b"waits for the guest");
    setting.send(b"answer");
    assert_eq!(read(&mut client, 6), b"answer");
    client.write_all(b"the end").unwrap();
    drop(client);
    assert_eq!(setting.receive(3), b"the");
    assert_eq!(setting.receive(64), b" end");
    // It finds out with room for more.
    setting.driver.put(RECEIVE, &[], &[64]);
    setting.driver.notify(RECEIVE);
    assert_eq!(setting.hear(), message(1, PORT_OPEN, 0));

    let mut next = setting.client();
    assert_eq!(setting.hear(), message(1, PORT_OPEN, 1));
    next.write_all(b"another").unwrap();
    assert_eq!(setting.driver.answer(RECEIVE), 7);
    setting.send(b"hello");
    assert_eq!(read(&mut next, 5), b"hello");
}

#[test]
fn nothing_is_read_for_a_port_that_nobody_has_open() {
    let mut setting = Setting::new("closed");
    setting.begin();
    let mut client = setting.client();
    assert_eq!(setting.hear(), message(1, PORT_OPEN, 1));
    setting.say(&message(1, PORT_OPEN, 0));
    setting.driver.put(RECEIVE, &[], &[64]);
    setting.driver.notify(RECEIVE);
    client.write_all(b"for whoever opens it").unwrap();
    setting.send(b"still heard");
    assert_eq!(read(&mut client, 11), b"still heard");

    setting.say(&message(1, PORT_OPEN, 1));

    assert_eq!(setting.driver.answer(RECEIVE), 20);
}

#[test]
fn a_client_that_has_ended_what_it_sends_gets_its_answer() {
    let mut setting = Setting::new("half");
    setting.begin();
    let mut client = setting.client();
    client.write_all(b"question").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(setting.hear(), message(1, PORT_OPEN, 1));
    assert_eq!(setting.receive(64), b"question");
    setting.driver.put(RECEIVE, &[], &[64]);
    setting.driver.notify(RECEIVE);

    setting.send(b"answer");

    assert_eq!(read(&mut client, 6), b"answer");
    drop(client);
    assert_eq!(setting.hear(), message(1, PORT_OPEN, 0));
}

#[test]
fn a_slow_client_loses_nothing_and_holds_up_the_guest() {
    let mut setting = Setting::new("slow");
    setting.begin();
    let mut client = setting.client();
    assert_eq!(setting.hear(), message(1, PORT_OPEN, 1));
    // Far more than a socket holds.
    let sent: Vec<u8> = (0..1_000_000_u32).map(|number| (number % 251) as u8).collect();
    setting.driver.put(TRANSMIT, &[&sent], &[]);
    setting.driver.notify(TRANSMIT);
    let waiter = std::thread::spawn({
        let bell = setting.bell.clone();
        move || bell.drain(LIMIT)
    });

    assert_eq!(read(&mut client, sent.len()), sent);

    assert_eq!(setting.driver.answer(TRANSMIT), 0);
    waiter.join().unwrap();
    setting.send(b"more");
    assert_eq!(read(&mut client, 4), b"more");
}

#[test]
fn what_was_for_one_client_is_not_for_the_next() {
    let mut setting = Setting::new("gone");
    setting.begin();
    let client = setting.client();
    assert_eq!(setting.hear(), message(1, PORT_OPEN, 1));
    setting.driver.put(RECEIVE, &[], &[64]);
    setting.driver.notify(RECEIVE);
    setting.driver.put(TRANSMIT, &[&vec![b'x'; 1_000_000]], &[]);
    setting.driver.notify(TRANSMIT);

    drop(client);

    assert_eq!(setting.driver.answer(TRANSMIT), 0);
    assert_eq!(setting.hear(), message(1, PORT_OPEN, 0));
    let mut next = setting.client();
    assert_eq!(setting.hear(), message(1, PORT_OPEN, 1));
    setting.send(b"new");
    assert_eq!(read(&mut next, 3), b"new");
}

#[test]
fn clients_stay_over_a_reset_of_the_device() {
    let mut setting = Setting::new("reset");
    setting.begin();
    let mut client = setting.client();
    assert_eq!(setting.hear(), message(1, PORT_OPEN, 1));
    setting.driver.write(0x070, 0);
    client.write_all(b"meanwhile").unwrap();

    setting.begin();

    assert_eq!(setting.hear(), message(1, PORT_OPEN, 1));
    assert_eq!(setting.receive(64), b"meanwhile");
    setting.send(b"back");
    assert_eq!(read(&mut client, 4), b"back");
}

#[test]
fn messages_that_make_no_sense_are_passed_over() {
    let mut setting = Setting::new("hostile");
    setting.driver.begin(F_MULTIPORT, 8);
    for port in [0, 1, 3, u32::MAX] {
        for event in [PORT_ADD, PORT_READY, 4, PORT_OPEN, PORT_NAME, 8, u16::MAX] {
            setting.say(&message(port, event, 7));
            setting.say(&message(port, event, 1));
            setting.say(&message(port, event, 0));
        }
    }
    setting.say(b"");
    setting.say(b"short");
    // Without room for a message.
    setting.driver.put(TO_DRIVER, &[], &[0]);
    setting.driver.notify(TO_DRIVER);
    for _ in 0..100 {
        setting.say(&message(0, DEVICE_READY, 1));
        setting.say(&message(0, DEVICE_READY, 0));
    }
    assert_eq!(setting.driver.answer(TO_DRIVER), 0);
    // Port 0 goes nowhere.
    assert_eq!(setting.driver.ask(1, &[b"to nobody"], &[]).0, 0);

    setting.begin();

    let mut client = setting.client();
    assert_eq!(setting.hear(), message(1, PORT_OPEN, 1));
    setting.send(b"all is well");
    assert_eq!(read(&mut client, 11), b"all is well");
    assert!(setting.driver.reports.lock().unwrap().is_empty());
}

#[test]
fn the_configuration_has_the_number_of_ports() {
    let mut setting = Setting::new("config");

    assert_eq!(setting.driver.read(0x008), 3);
    assert_eq!(setting.driver.features() & 7, F_MULTIPORT);
    assert_eq!(setting.driver.read(0x104), 3);
    setting.driver.write(0x030, 7);
    assert_eq!(setting.driver.read(0x034), 64);
    setting.driver.write(0x030, 8);
    assert_eq!(setting.driver.read(0x034), 0);
}
