//! Connections between a Linux guest and Unix sockets of the host's.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use tests::initramfs::{RDINIT, with_modules};
use tests::minivmm::QUICK;
use tests::pages::{self, difference};
use tests::shell::INIT;
use tests::{Minivmm, Shell, Shm, bare_guest, guest, kernel};

fn boot(shm: &Shm) -> Shell {
    let connection = bare_guest("connection").with_extension("");
    let initrd = with_modules(&kernel(), &[("connection", &connection)]);
    Shell::on(Minivmm::start([
        "--kernel",
        guest(&format!("Image-{}", kernel())).to_str().unwrap(),
        "--initrd",
        initrd.to_str().unwrap(),
        "--cmdline",
        &format!("{QUICK} console=ttyAMA0 quiet panic=-1 {RDINIT} -- {INIT}"),
        "--vsock",
        &format!("cid=42,path={}", shm.join("vsock")),
    ]))
}

/// Somebody on the host who wants to this port of the guest's, and what is answered.
fn client(path: &str, port: u32) -> (UnixStream, String) {
    let mut stream = UnixStream::connect(path).unwrap();
    writeln!(stream, "CONNECT {port}").unwrap();
    let mut line = String::new();
    // Not a byte more than the line: the rest is read from the stream.
    let mut reader = BufReader::with_capacity(1, stream.try_clone().unwrap());
    reader.read_line(&mut line).unwrap();
    (stream, line)
}

#[test]
fn linux_and_the_host_connect_to_each_other() {
    let shm = Shm::new();
    let [path, source, target] = ["vsock", "source", "target"].map(|name| shm.join(name));
    pages::fill(&source);
    let listen = |port| UnixListener::bind(format!("{path}_{port}")).unwrap();
    let (out, back) = (listen(5000), listen(5001));
    let mut shell = boot(&shm);
    shell.run("to='/programs/connection vsock connect' listen='/programs/connection vsock listen'");

    // 256 MiB to the guest and back again, at the same time.
    let sender = pages::send(&source, move || out.accept().unwrap().0);
    let receiver = pages::receive(&target, move || back.accept().unwrap().0);
    shell.begin("$to 2 5000 </dev/null | $to 2 5001; echo copied $?");
    assert_eq!(sender.join().unwrap().unwrap(), pages::COPIED as u64);
    assert_eq!(receiver.join().unwrap().unwrap(), pages::COPIED as u64);
    shell.minivmm.console.expect("copied 0\r\n");
    assert_eq!(difference(&source, &target), None);

    // From the host to the guest.
    shell.begin("echo from the guest | $listen 77 2>&1 >/heard");
    shell.minivmm.console.expect("ready\r\n");
    let (mut stream, line) = client(&path, 77);
    assert!(line.starts_with("OK "), "{line}");
    stream.write_all(b"from the host\n").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut heard = String::new();
    stream.read_to_string(&mut heard).unwrap();
    assert_eq!(heard, "from the guest\n");
    assert_eq!(shell.run("cat /heard"), "from the host");

    // What the guest has sent and the host has not read does not keep its end from being seen, nor does a death.
    let gone = listen(5003);
    shell.begin("$to 2 5003 </dev/zero 2>&1 | cat; echo over");
    let mut stream = gone.accept().unwrap().0;
    stream.read_exact(&mut [0; 100]).unwrap();
    drop(stream);
    shell.minivmm.console.expect("over\r\n");
    shell.begin("$to 2 5003 </dev/zero & $to 2 5003 <&- &");
    let mut streams = [gone.accept().unwrap().0, gone.accept().unwrap().0];
    shell.run("busybox killall -9 connection; wait");
    for stream in &mut streams {
        // All that had come, and the end.
        io::copy(stream, &mut io::sink()).unwrap();
    }

    // Where nobody is.
    assert_eq!(client(&path, 78).1, "");
    let said = shell.run("$to 2 5002 </dev/null 2>&1; echo $?");
    assert_eq!(said, "connection: connect: Connection reset by peer\n1");

    let vm = shell.finish("poweroff -f");
    assert_eq!((vm.status, vm.stderr.as_str()), (0, ""));
    assert!(fs::symlink_metadata(&path).is_err(), "the socket is left behind");
    assert!(Path::new(&format!("{path}_5000")).exists(), "it is not minivmm's");
}
