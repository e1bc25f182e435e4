//! Sockets that debuggers connect to: whose they are, and for how many.

use std::env::temp_dir;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, id};

use nix::sys::signal::Signal;
use tests::{Minivmm, Rsp, bare_guest};

/// Not among the logs: a socket's path has at most 107 bytes.
fn path(name: &str) -> PathBuf {
    temp_dir().join(format!("minivmm-{name}-{}.sock", id()))
}

/// A guest that waits for a debugger at this socket. minivmm may make files that anybody may use.
fn start(socket: &Path) -> Minivmm {
    let mut command = Command::new("sh");
    command.args(["-c", "umask 0; exec \"$@\"", "sh"]).arg(Minivmm::binary());
    command.arg("--kernel").arg(bare_guest("count"));
    command.arg("--gdb").arg(format!("unix:{}", socket.display()));
    let minivmm = Minivmm::spawn(&mut command);
    minivmm.stderr.expect(&format!("target remote {}\n", socket.display()));
    minivmm
}

/// The answer to a question, without `QStartNoAckMode`.
fn is_served(stream: &mut (impl Read + Write)) -> bool {
    stream.write_all(b"$vMustReplyEmpty#3a").unwrap();
    let mut reply = [0; 5];
    stream.read_exact(&mut reply).unwrap();
    reply == *b"+$#00"
}

#[test]
fn a_unix_socket_is_its_owners_alone() {
    let socket = path("owner");
    let minivmm = start(&socket);

    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);

    assert!(is_served(&mut UnixStream::connect(&socket).unwrap()));
    minivmm.signal(Signal::SIGTERM);
    assert_eq!(minivmm.finish().status, 143);
}

#[test]
fn a_unix_socket_is_removed_at_the_end_whatever_the_end() {
    for (signal, status) in [(Signal::SIGTERM, 143), (Signal::SIGINT, 130), (Signal::SIGHUP, 129)] {
        let socket = path("removed");
        let minivmm = start(&socket);
        assert!(socket.exists());

        minivmm.signal(signal);

        assert_eq!(minivmm.finish().status, status);
        assert!(!socket.exists(), "{signal}");
    }
    let socket = path("removed");
    let minivmm = start(&socket);
    UnixStream::connect(&socket).unwrap().write_all(b"$k#6b").unwrap();
    assert_eq!(minivmm.finish().status, 0);
    assert!(!socket.exists());
}

#[test]
fn a_unix_socket_that_nobody_listens_on_is_replaced() {
    let socket = path("stale");
    drop(UnixListener::bind(&socket).unwrap());
    assert!(socket.exists());

    let minivmm = start(&socket);

    assert!(is_served(&mut UnixStream::connect(&socket).unwrap()));
    minivmm.signal(Signal::SIGKILL);
    minivmm.finish();
    // What it could not remove itself, the next one replaces.
    assert!(socket.exists());
    let minivmm = start(&socket);
    assert!(is_served(&mut UnixStream::connect(&socket).unwrap()));
    minivmm.signal(Signal::SIGTERM);
    minivmm.finish();
}

#[test]
fn a_second_client_is_told_so_and_closed_and_the_first_one_stays() {
    let told = b"$E.minivmm serves one debugger at a time#34";
    let mut said = Vec::new();

    let socket = path("second");
    let minivmm = start(&socket);
    let mut first = UnixStream::connect(&socket).unwrap();
    assert!(is_served(&mut first));
    UnixStream::connect(&socket).unwrap().read_to_end(&mut said).unwrap();
    assert_eq!(said, told);
    assert!(is_served(&mut first));
    drop(first);
    assert!(is_served(&mut UnixStream::connect(&socket).unwrap()));
    minivmm.signal(Signal::SIGTERM);
    minivmm.finish();

    let port = Minivmm::free_port();
    let minivmm = Minivmm::start_bare("count", &["--gdb", &port.to_string()]);
    minivmm.stderr.expect("target remote");
    let mut first = Rsp::connect(port);
    said.clear();
    TcpStream::connect(("127.0.0.1", port)).unwrap().read_to_end(&mut said).unwrap();
    assert_eq!(said, told);
    assert_eq!(first.ask("vCont;c"), "W00;process:1");
    assert_eq!(minivmm.finish().status, 0);
}

#[test]
fn a_unix_socket_that_somebody_else_has_put_in_its_place_stays() {
    let socket = path("taken");
    let minivmm = start(&socket);
    fs::remove_file(&socket).unwrap();
    let _other = UnixListener::bind(&socket).unwrap();

    minivmm.signal(Signal::SIGTERM);
    minivmm.finish();

    assert!(socket.exists());
    fs::remove_file(socket).unwrap();
}

#[test]
fn a_unix_socket_that_somebody_listens_on_is_theirs_and_they_are_not_disturbed() {
    let socket = path("theirs");
    let other = UnixListener::bind(&socket).unwrap();
    let kernel = bare_guest("count");
    let address = format!("unix:{}", socket.display());
    let arguments = ["--kernel", kernel.to_str().unwrap(), "--gdb", &address];

    let finished = Minivmm::start(arguments).finish();

    assert_eq!(finished.status, 2);
    assert!(finished.stderr.contains("Address already in use"), "{finished:?}");
    other.set_nonblocking(true).unwrap();
    assert!(other.accept().is_err());
    fs::remove_file(socket).unwrap();
}
