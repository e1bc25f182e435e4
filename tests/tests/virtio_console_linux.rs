//! Linux's `hvc0` on standard input and output, and ports that lead to Unix sockets of the host's.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::thread;

use tests::initramfs::{RDINIT, with_modules};
use tests::pages::Xorshift;
use tests::{Minivmm, Shell, Shm, guest, kernel, scratch};

/// The console comes with the drivers, so that init begins without one.
const INIT: &str =
    "sh -c \"exec </dev/console >/dev/console 2>&1; stty -echo; echo READY; exec sh /dev/console\"";

/// Bytes through a port, each way.
const COPIED: usize = 16 << 20;

fn boot(shm: &Shm) -> Shell {
    Shell::on(Minivmm::start([
        "--kernel",
        guest(&format!("Image-{}", kernel())).to_str().unwrap(),
        "--initrd",
        with_modules(&kernel(), &[]).to_str().unwrap(),
        "--cmdline",
        &format!("{} quiet panic=-1 {RDINIT} -- {INIT}", tests::minivmm::QUICK),
        "--console",
        "virtio",
        "--port",
        &format!("org.test.agent={}", shm.join("agent")),
        "--port",
        &format!("data={}", shm.join("data")),
        "--console-log",
        scratch().join("log").to_str().unwrap(),
    ]))
}

/// As the program of that name computes it.
fn sha256(bytes: &[u8]) -> String {
    let mut child =
        Command::new("sha256sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(bytes).unwrap();
    let output = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    output.split(' ').next().unwrap().to_owned()
}

/// The device of a port, by its name.
fn device(shell: &mut Shell, name: &str) -> String {
    let file = shell.run(&format!("grep -lx '{name}' /sys/class/virtio-ports/*/name"));
    format!("/dev/{}", file.split('/').nth(4).unwrap_or_else(|| panic!("{name}: {file}")))
}

#[test]
fn linux_has_its_console_and_its_ports() {
    let shm = Shm::new();
    let mut shell = boot(&shm);
    assert_eq!(shell.run("cat /sys/class/tty/console/active"), "hvc0");

    // What the console carries, out and in.
    shell.run("stty -opost");
    let counted = shell.run("seq 100000 119999 | cat");
    let expected = (100_000..120_000).fold(String::new(), |text, n| text + &format!("{n}\n"));
    assert!(counted == expected.trim_end(), "{} bytes: {counted:.100}", counted.len());
    let mut paste = String::new();
    for number in 0..1600 {
        writeln!(paste, "{number:08} {:054}", number * number).unwrap();
    }
    for mode in ["icanon", "-icanon"] {
        let len = paste.len();
        let begin = format!("stty {mode} min 1; echo go {mode}; head -c {len} | sha256sum");
        shell.begin(&format!("{begin}; stty icanon"));
        shell.minivmm.console.expect(&format!("go {mode}\n"));
        shell.minivmm.send(&paste);
        let sum = shell.minivmm.console.expect("  -\n");
        assert_eq!(sum, format!("{}  -\n", sha256(paste.as_bytes())), "{mode}");
    }

    // A port, to the guest and back. The client is there before anybody in the guest has it open.
    let data = device(&mut shell, "data");
    let mut random = Xorshift(1);
    let bytes: Vec<u8> = (0..COPIED / 8).flat_map(|_| random.draw().to_le_bytes()).collect();
    let mut client = UnixStream::connect(shm.join("data")).unwrap();
    let sender = thread::spawn({
        let (mut client, bytes) = (client.try_clone().unwrap(), bytes.clone());
        move || client.write_all(&bytes).unwrap()
    });
    let sum = shell.run(&format!("head -c {COPIED} {data} >/copy; sha256sum </copy"));
    assert_eq!(sum, format!("{}  -", sha256(&bytes)));
    sender.join().unwrap();
    let receiver = thread::spawn(move || {
        let mut copy = vec![0; COPIED];
        client.read_exact(&mut copy).unwrap();
        copy
    });
    assert_eq!(shell.run(&format!("cat /copy >{data}; echo $?")), "0");
    assert!(receiver.join().unwrap() == bytes, "it came back as something else");

    // One client after the other, of which the guest sees the end.
    let agent = device(&mut shell, "org.test.agent");
    for text in ["first", "second"] {
        let mut client = UnixStream::connect(shm.join("agent")).unwrap();
        client.write_all(text.as_bytes()).unwrap();
        drop(client);
        let said = shell.run(&format!(
            "rm -f /said; until [ -s /said ]; do cat {agent} >/said; done; cat /said"
        ));
        assert_eq!(said, text);
    }
    let mut client = UnixStream::connect(shm.join("agent")).unwrap();
    shell.run(&format!("echo last >{agent}"));

    let vm = shell.finish("echo c >/proc/sysrq-trigger");

    // The UART has said what there was to say before the drivers were there.
    assert!(vm.console.contains("unable to open an initial console"), "{}", vm.console);
    assert!(vm.console.contains("Kernel panic - not syncing: sysrq"), "{}", vm.console);
    assert_eq!((vm.status, vm.stderr.as_str()), (34, "minivmm: guest kernel panicked\n"));
    assert_eq!(fs::read_to_string(scratch().join("log")).unwrap(), vm.console);
    let mut last = String::new();
    client.read_to_string(&mut last).unwrap();
    assert_eq!(last, "last\n");
    for socket in ["agent", "data"] {
        assert!(fs::symlink_metadata(shm.join(socket)).is_err(), "{socket} is left behind");
    }
}
