//! Connections between a Linux guest and Unix sockets of the host's.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::thread;

use tests::initramfs::{RDINIT, with_modules};
use tests::pages::{self, difference};
use tests::shell::INIT;
use tests::{Minivmm, Shell, Shm, bare_guest, guest, kernel};

fn boot(shm: &Shm) -> Shell {
    let vsock = bare_guest("vsock").with_extension("");
    let initrd = with_modules(&kernel(), &[("vsock", &vsock)]);
    Shell::on(Minivmm::start([
        "--kernel",
        guest(&format!("Image-{}", kernel())).to_str().unwrap(),
        "--initrd",
        initrd.to_str().unwrap(),
        "--cmdline",
        &format!("console=ttyAMA0 quiet panic=-1 {RDINIT} -- {INIT}"),
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

    // 256 MiB to the guest and back again, at the same time.
    let sender = thread::spawn({
        let source = source.clone();
        move || io::copy(&mut File::open(source).unwrap(), &mut out.accept().unwrap().0).unwrap()
    });
    let receiver = thread::spawn({
        let target = target.clone();
        move || io::copy(&mut back.accept().unwrap().0, &mut File::create(target).unwrap()).unwrap()
    });
    let said = shell
        .run("/programs/vsock connect 2 5000 </dev/null | /programs/vsock connect 2 5001; echo $?");
    assert_eq!(said, "0");
    assert_eq!(sender.join().unwrap(), pages::COPIED as u64);
    assert_eq!(receiver.join().unwrap(), pages::COPIED as u64);
    assert_eq!(difference(&source, &target), None);

    // From the host to the guest.
    shell.begin("echo from the guest | /programs/vsock listen 77 2>&1 >/heard");
    shell.minivmm.console.expect("ready\r\n");
    let (mut stream, line) = client(&path, 77);
    assert!(line.starts_with("OK "), "{line}");
    stream.write_all(b"from the host\n").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut heard = String::new();
    stream.read_to_string(&mut heard).unwrap();
    assert_eq!(heard, "from the guest\n");
    assert_eq!(shell.run("cat /heard"), "from the host");

    // Where nobody is.
    assert_eq!(client(&path, 78).1, "");
    let said = shell.run("/programs/vsock connect 2 5002 </dev/null 2>&1; echo $?");
    assert_eq!(said, "vsock: connect: Connection reset by peer\n1");

    let vm = shell.finish("poweroff -f");
    assert_eq!((vm.status, vm.stderr.as_str()), (0, ""));
    assert!(fs::symlink_metadata(&path).is_err(), "the socket is left behind");
    assert!(Path::new(&format!("{path}_5000")).exists(), "it is not minivmm's");
}
