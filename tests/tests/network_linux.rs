//! The network of a Linux guest: by passt without any privileges, and by a TAP interface of the user's.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;
use tests::initramfs::{RDINIT, with_modules};
use tests::minivmm::QUICK;
use tests::pages::{self, difference};
use tests::shell::INIT;
use tests::user::NOBODY;
use tests::{Minivmm, Rsp, Shell, Shm, User, bare_guest, guest, kernel, lacks, skip};

/// A shell in a user's guest whose network has no address yet.
fn boot(user: &User, more: &[&str]) -> Shell {
    let connection = bare_guest("connection").with_extension("");
    let initrd = user.lend(with_modules(&kernel(), &[("connection", &connection)]));
    let image = user.lend(guest(&format!("Image-{}", kernel())));
    let cmdline = format!("{QUICK} console=ttyAMA0 quiet panic=-1 {RDINIT} -- {INIT}");
    let mut command = user.minivmm();
    command.args(["--kernel", &image, "--initrd", &initrd, "--cmdline", &cmdline]).args(more);
    let mut shell = Shell::on(Minivmm::spawn(command.stdin(Stdio::piped())));
    name_programs(&mut shell);
    shell
}

fn name_programs(shell: &mut Shell) {
    shell.run("to='/programs/connection tcp connect' listen='/programs/connection tcp listen'");
}

/// On a port of the host's.
fn listen(address: &str) -> (TcpListener, u16) {
    let listener = TcpListener::bind((address, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// 256 MiB from the host to the guest and back again, by this command of the guest's, given the two ports.
fn copy(shell: &mut Shell, shm: &Shm, local: &str, command: impl FnOnce(u16, u16) -> String) {
    let [source, target] = ["source", "target"].map(|name| shm.join(name));
    pages::fill(&source);
    let ((out, out_port), (back, back_port)) = (listen(local), listen(local));
    let sender = pages::send(&source, move || out.accept().unwrap().0);
    let receiver = pages::receive(&target, move || {
        let stream = back.accept().unwrap().0;
        // Debian 12's passt resets a connection in which it had nothing to send for 18 s.
        stream.shutdown(Shutdown::Write).unwrap();
        stream
    });

    shell.begin(&format!("{}; echo copied $?", command(out_port, back_port)));

    assert_eq!(sender.join().unwrap().unwrap(), pages::COPIED as u64);
    assert_eq!(receiver.join().unwrap().unwrap(), pages::COPIED as u64);
    shell.minivmm.console.expect("copied 0\r\n");
    assert_eq!(difference(&source, &target), None);
}

/// Gets the address that passt has for its guest. Returns the router's, behind which is the host itself.
fn configure(shell: &mut Shell) -> String {
    shell.run(
        "printf '#!/bin/sh\n[ $1 = bound ] && ifconfig eth0 $ip netmask $subnet && route add default gw $router && echo $router >/router' >/dhcp; \
         chmod +x /dhcp",
    );
    let said = shell.run("ifconfig eth0 up; busybox udhcpc -i eth0 -n -q -s /dhcp 2>&1; echo $?");
    assert!(said.ends_with("\n0"), "{said}");
    shell.run("cat /router")
}

/// A program that repeats what it is told, in the guest, for one who comes to the host's port.
fn greet(shell: &mut Shell, port: u16) {
    shell.begin(&format!("echo from the guest | $listen {port} 2>&1 >/heard"));
    shell.minivmm.console.expect("ready\r\n");
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(b"from the host\n").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut heard = String::new();
    stream.read_to_string(&mut heard).unwrap();
    assert_eq!(heard, "from the guest\n");
    assert_eq!(shell.run("cat /heard"), "from the host");
}

/// A user's running passt.
fn passt(user: &User, port: u16) -> Minivmm {
    let (socket, port) = (user.home().join("passt"), port.to_string());
    let mut command = user.command("passt");
    command.args(["--foreground", "--socket", &socket, "-t", &port]);
    let passt = Minivmm::spawn(command.stdin(Stdio::null()));
    passt.stderr.expect("You can now start qemu");
    passt
}

#[test]
fn linux_has_a_network_by_passt_without_root() {
    if lacks("passt") {
        return skip("there is no passt on the PATH");
    }
    let user = User::new(NOBODY);
    let shm = user.home();
    let [forwarded, gdb] = [(); 2].map(|()| Minivmm::free_port());
    let first = passt(&user, forwarded);
    let [net, vsock] = [format!("passt={}", shm.join("passt")), shm.join("vsock")];
    let served = UnixListener::bind(format!("{vsock}_5000")).unwrap();
    user.own(format!("{vsock}_5000"));
    let (vsock, port) = (format!("cid=42,path={vsock}"), gdb.to_string());
    let devices =
        ["--net", &net, "--vsock", &vsock, "--gdb", &port, "--gdb-nowait", "--memory", "1G"];
    let mut shell = boot(&user, &devices);

    let router = configure(&mut shell);
    assert_eq!(
        shell.run("cat /sys/class/net/eth0/mtu /sys/class/net/eth0/address"),
        "32768\n52:54:00:12:34:56"
    );
    greet(&mut shell, forwarded);
    // One after the other: it also resets one whose receiver takes nothing for some seconds.
    copy(&mut shell, shm, "127.0.0.1", |out, back| {
        format!(
            "$to {router} {out} <&- >/run/copy && $to {router} {back} </run/copy && rm /run/copy"
        )
    });

    // Without a passt there is no link, until there is one again.
    first.signal(Signal::SIGKILL);
    shell.minivmm.stderr.expect("; the guest's link is down until it is there again\n");
    assert_eq!(shell.run("cat /sys/class/net/eth0/carrier"), "0");
    fs::remove_file(shm.join("passt")).unwrap();
    let _second = passt(&user, forwarded);
    shell.minivmm.stderr.expect(": it is there again\n");
    assert_eq!(shell.run("cat /sys/class/net/eth0/carrier"), "1");
    greet(&mut shell, forwarded);

    // A new guest has both devices as the first one had.
    let mut rsp = Rsp::connect(gdb);
    rsp.told("reset");
    rsp.order("D");
    shell.minivmm.console.expect("READY\r\n");
    name_programs(&mut shell);
    configure(&mut shell);
    greet(&mut shell, forwarded);
    shell.begin("echo by vsock | /programs/connection vsock connect 2 5000");
    let mut heard = String::new();
    let mut stream = served.accept().unwrap().0;
    stream.read_to_string(&mut heard).unwrap();
    assert_eq!(heard, "by vsock\n");
    drop(stream);

    let vm = shell.finish("poweroff -f");
    assert_eq!(vm.status, 0, "{}", vm.stderr);
}

/// A TAP interface of nobody's, gone when this is dropped.
struct Tap(String);

impl Tap {
    fn new(address: &str) -> Self {
        let name = format!("mvm{}", std::process::id());
        let tap = Self(name);
        run(Command::new(bare_guest("tap").with_extension("")).args([&tap.0, &NOBODY.to_string()]));
        run(Command::new("ip").args(["address", "add", address, "dev", &tap.0]));
        run(Command::new("ip").args(["link", "set", "dev", &tap.0, "up"]));
        tap
    }

    /// How many packets the host has sent and received there, and bytes.
    fn count(&self) -> [u64; 4] {
        ["tx_packets", "rx_packets", "tx_bytes", "rx_bytes"].map(|what| {
            let path = format!("/sys/class/net/{}/statistics/{what}", self.0);
            fs::read_to_string(path).unwrap().trim().parse().unwrap()
        })
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["link", "del", &self.0]).status();
    }
}

fn run(command: &mut Command) {
    assert!(command.status().unwrap().success(), "{command:?}");
}

#[test]
fn linux_has_a_network_by_a_tap_interface_of_the_users() {
    if !nix::unistd::geteuid().is_root() {
        return skip("is not root, who can make TAP interfaces");
    }
    let user = User::new(NOBODY);
    let tap = Tap::new("10.77.0.1/24");
    let mut shell = boot(&user, &["--net", &format!("tap={},mac=02:00:00:00:12:34", tap.0)]);

    assert_eq!(shell.run("cat /sys/class/net/eth0/address"), "02:00:00:00:12:34");
    shell.run("ifconfig eth0 10.77.0.2 netmask 255.255.255.0");
    assert!(shell.run("ping -c 1 10.77.0.1").contains(" 0% packet loss"));
    copy(&mut shell, user.home(), "10.77.0.1", |out, back| {
        format!("$to 10.77.0.1 {out} <&- | $to 10.77.0.1 {back}")
    });
    // Segments longer than a frame, both ways.
    let [out, back, out_bytes, back_bytes] = tap.count();
    assert!(out_bytes > 3 * 1500 * out && back_bytes > 3 * 1500 * back, "{:?}", tap.count());

    // What is no TAP interface of the user's that nobody has open.
    run(Command::new("ip").args(["link", "set", "dev", &tap.0, "down"]));
    for (name, why) in [
        (
            tap.0.as_str(),
            "Device or resource busy (os error 16), expected an interface that nobody else has open",
        ),
        ("lo", "Invalid argument (os error 22), expected a TAP interface with one queue"),
        (
            "none",
            "No such device (os error 19), expected an interface that is there (ip tuntap add NAME mode tap user $USER)",
        ),
    ] {
        let (kernel, net) = (user.lend(bare_guest("poweroff")), format!("tap={name}"));
        let mut command = user.minivmm();
        command.args(["--kernel", &kernel, "--net", &net]);
        let vm = Minivmm::spawn(command.stdin(Stdio::null())).finish();
        assert_eq!((vm.status, vm.stderr), (2, format!("minivmm: --net tap={name}: {why}\n")));
    }

    let vm = shell.finish("poweroff -f");
    assert_eq!((vm.status, vm.stderr.as_str()), (0, ""));
}
