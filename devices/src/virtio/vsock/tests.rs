use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::connection::ROOM;
use super::packet::{Address, HEADER, Header, Operation, STREAM};
use super::*;
use crate::virtio::tests::driver::Driver;

const GUEST: u64 = 3;

/// A guest's driver, and a folder with its sockets.
struct Setting {
    driver: Driver,
    folder: PathBuf,
}

impl Setting {
    fn new(name: &str) -> Self {
        let folder =
            std::env::temp_dir().join(format!("minivmm-vsock-{}-{name}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        let path = folder.join("vsock");
        let listener = UnixListener::bind(&path).unwrap();
        let mut driver = Driver::new(Vsock::new(3), Switch::new(3, &path, listener).unwrap());
        driver.begin(0, 3);
        Self { driver, folder }
    }

    fn client(&self) -> UnixStream {
        UnixStream::connect(self.folder.join("vsock")).unwrap()
    }

    fn server(&self, port: u32) -> UnixListener {
        UnixListener::bind(self.folder.join(format!("vsock_{port}"))).unwrap()
    }

    fn send(&mut self, header: Header, data: &[u8]) {
        let header = Header { len: data.len() as u32, ..header };
        assert_eq!(self.driver.ask(TRANSMIT, &[&header.encode(), data], &[]).0, 0);
    }

    /// The next packet for the guest, which has room for `space` bytes of data.
    fn receive(&mut self, space: u32) -> (Header, Vec<u8>) {
        let (len, bytes) = self.driver.ask(RECEIVE, &[], &[HEADER as u32 + space]);
        let header = Header::decode(bytes.first_chunk().unwrap());
        assert_eq!(header.len, len - HEADER as u32);
        (header, bytes[HEADER..].to_vec())
    }
}

impl Drop for Setting {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// From the guest's port 1000 to the host's 50.
fn packet(operation: Operation) -> Header {
    Header {
        source: Address { cid: GUEST, port: 1000 },
        destination: Address { cid: HOST, port: 50 },
        len: 0,
        kind: STREAM,
        operation: Some(operation),
        flags: 0,
        room: 1 << 16,
        taken: 0,
    }
}

/// The guest's connection to a server on port 50.
fn connected(setting: &mut Setting) -> UnixStream {
    let server = setting.server(50);
    setting.send(packet(Operation::Request), b"");
    let (header, _) = setting.receive(0);
    assert_eq!(header.operation, Some(Operation::Response));
    assert_eq!((header.source.port, header.destination.port), (50, 1000));
    assert_eq!(header.room, ROOM);
    server.accept().unwrap().0
}

#[test]
fn the_guest_connects_to_a_socket_of_the_hosts() {
    let mut setting = Setting::new("guest");
    let mut socket = connected(&mut setting);

    setting.send(packet(Operation::Data), b"question");
    let mut bytes = [0; 8];
    socket.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"question");
    socket.write_all(b"answer").unwrap();
    let (header, data) = setting.receive(100);
    assert_eq!((header.operation, data), (Some(Operation::Data), b"answer".to_vec()));

    // The host's side ends first, then the guest's.
    drop(socket);
    let (header, _) = setting.receive(100);
    assert_eq!((header.operation, header.flags), (Some(Operation::Shutdown), packet::NO_SEND));
    setting.send(Header { flags: 3, ..packet(Operation::Shutdown) }, b"");
    assert_eq!(setting.receive(0).0.operation, Some(Operation::Reset));
}

#[test]
fn a_client_of_the_hosts_connects_to_a_port_of_the_guests() {
    let mut setting = Setting::new("host");
    let mut client = setting.client();
    client.write_all(b"CONNECT 77\nhello").unwrap();

    let (request, _) = setting.receive(0);
    assert_eq!((request.operation, request.destination.port), (Some(Operation::Request), 77));
    let answer = Header {
        source: request.destination,
        destination: request.source,
        ..packet(Operation::Response)
    };
    setting.send(answer, b"");
    let mut line = String::new();
    BufReader::new(&client).read_line(&mut line).unwrap();
    assert_eq!(line, format!("OK {}\n", request.source.port));
    let (_, data) = setting.receive(100);
    assert_eq!(data, b"hello");
}

#[test]
fn nobody_there_is_a_reset() {
    let mut setting = Setting::new("nobody");

    setting.send(packet(Operation::Request), b"");
    let (header, _) = setting.receive(0);
    assert_eq!((header.operation, header.source.port), (Some(Operation::Reset), 50));

    let mut client = setting.client();
    client.write_all(b"CONNECT 77\n").unwrap();
    let (request, _) = setting.receive(0);
    let no = Header {
        source: request.destination,
        destination: request.source,
        ..packet(Operation::Reset)
    };
    setting.send(no, b"");
    assert_eq!(client.read(&mut [0; 10]).unwrap(), 0);
}

#[test]
fn neither_side_gets_more_than_it_has_room_for() {
    let mut setting = Setting::new("room");
    let mut socket = connected(&mut setting);
    // The guest has room for ten bytes, and takes four.
    setting.send(Header { room: 10, ..packet(Operation::CreditUpdate) }, b"");
    socket.write_all(b"0123456789abcdef").unwrap();
    assert_eq!(setting.receive(100).1, b"0123456789");
    setting.send(Header { room: 10, taken: 4, ..packet(Operation::CreditUpdate) }, b"");
    assert_eq!(setting.receive(100).1, b"abcd");

    // Of the guest's, what the socket takes is told of, and more than ROOM ends the connection.
    let block = vec![1; 60_000];
    for _ in 0..3 {
        setting.send(packet(Operation::Data), &block);
    }
    let mut bytes = vec![0; 3 * block.len()];
    socket.read_exact(&mut bytes).unwrap();
    let (credit, _) = setting.receive(100);
    assert_eq!(credit.operation, Some(Operation::CreditUpdate));
    assert!(credit.taken >= ROOM / 2, "{credit:?}");
    for _ in 0..12 {
        setting.send(packet(Operation::Data), &block);
    }
    loop {
        let (header, _) = setting.receive(100);
        if header.operation == Some(Operation::Reset) {
            break;
        }
        assert_eq!(header.operation, Some(Operation::CreditUpdate));
    }
}

#[test]
fn packets_that_make_no_sense_are_refused_and_the_next_ones_served() {
    let mut setting = Setting::new("nonsense");
    let good = packet(Operation::Data);
    assert_eq!(setting.driver.ask(TRANSMIT, &[b"short"], &[]).0, 0);
    for strange in [
        good,
        Header { kind: 2, ..good },
        Header { operation: None, ..good },
        Header { destination: Address { cid: 9, port: 50 }, ..packet(Operation::Request) },
        Header { source: Address { cid: 9, port: 1000 }, ..packet(Operation::Request) },
    ] {
        setting.send(strange, b"data");
        assert_eq!(setting.receive(0).0.operation, Some(Operation::Reset), "{strange:?}");
    }
    // A length that is a lie.
    let lie = Header { len: u32::MAX, ..good };
    assert_eq!(setting.driver.ask(TRANSMIT, &[&lie.encode()], &[]).0, 0);
    assert_eq!(setting.receive(0).0.operation, Some(Operation::Reset));
    for line in [&b"CONNECT x\n"[..], b"HELLO\n", &[b'1'; 40], b"\xff\n"] {
        let mut client = setting.client();
        client.write_all(line).unwrap();
        // With bytes that were not read, it is a reset.
        assert!(!matches!(client.read(&mut [0; 10]), Ok(1..)), "{line:?}");
    }

    connected(&mut setting);
}

#[test]
fn a_buffer_without_room_for_data_ends_nothing() {
    let mut setting = Setting::new("header");
    let mut socket = connected(&mut setting);
    socket.write_all(b"data").unwrap();

    assert_eq!(setting.receive(0).0.operation, Some(Operation::CreditUpdate));
    assert_eq!(setting.receive(100).1, b"data");
}

#[test]
fn who_is_one_too_many_waits_until_another_one_has_gone() {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
    let mut setting = Setting::new("many");
    let clients: Vec<_> = (0..1023).map(|_| setting.client()).collect();
    let mut late = setting.client();
    late.write_all(b"CONNECT 77\n").unwrap();

    drop(clients);

    assert_eq!(setting.receive(0).0.destination.port, 77);
}

#[test]
fn a_server_that_accepts_nobody_holds_up_nothing() {
    let mut setting = Setting::new("backlog");
    let _server = setting.server(50);
    // More than any backlog.
    for port in 0..5000 {
        let from = Address { cid: GUEST, port };
        setting.send(Header { source: from, ..packet(Operation::Request) }, b"");
        if setting.receive(0).0.operation == Some(Operation::Reset) {
            return;
        }
    }
    panic!("nobody was refused");
}
