//! The scripts, as a user calls them. On the machine that builds, not in an emulated host.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{LocalFlags, tcgetattr};
use nix::unistd::Pid;
use tests::{Minivmm, bare_guest};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn guests() -> PathBuf {
    std::env::var_os("MINIVMM_GUESTS").map_or(root().join(".cache/guests"), PathBuf::from)
}

/// `scripts/minivmm`, with nothing to read and everything that it says collected.
fn script() -> Command {
    let mut command = Command::new(root().join("scripts/minivmm"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Reads until this has come.
fn read_until(stream: &mut impl Read, wanted: &str) -> String {
    let mut text = Vec::new();
    let mut byte = [0];
    while !text.ends_with(wanted.as_bytes()) {
        let read = stream.read(&mut byte).unwrap();
        assert_ne!(read, 0, "no {wanted:?} in {:?}", String::from_utf8_lossy(&text));
        text.push(byte[0]);
    }
    String::from_utf8(text).unwrap()
}

fn terminate(child: &Child) {
    kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
}

#[test]
fn output_and_status_come_through() {
    let version = script().arg("--version").output().unwrap();
    let bad = script().args(["--kernel", "/nonexistent", "--memory", "12Q"]).output().unwrap();

    assert_eq!(stdout(&version), concat!("minivmm ", env!("CARGO_PKG_VERSION"), "\n"));
    assert_eq!(version.status.code(), Some(0), "{}", stderr(&version));
    assert_eq!(bad.status.code(), Some(2));
    assert_eq!(stderr(&bad), "minivmm: --memory 12Q: expected a multiple of 2M from 2M to 255G\n");
}

#[test]
fn a_kernel_by_a_relative_path_boots() {
    let output = boot("console=ttyAMA0 quiet -- true").output().unwrap();

    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

#[test]
fn the_guests_first_byte_comes_within_six_seconds() {
    // The fastest of a few: the machine may have other things to do.
    let is_fast = (0..4).any(|_| {
        let start = Instant::now();
        let mut child = boot("console=ttyAMA0 earlycon").spawn().unwrap();
        child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        let first_byte = start.elapsed();
        terminate(&child);
        child.wait_with_output().unwrap();
        println!("{first_byte:?} to the guest's first console byte");
        first_byte < Duration::from_secs(6)
    });

    assert!(is_fast);
}

#[test]
fn a_terminal_is_raw_there_and_restored_here() {
    let mut script = Command::new(root().join("scripts/minivmm"));
    let script = script.arg("--kernel").arg(bare_guest("keys"));
    let (mut minivmm, terminal) = Minivmm::spawn_on_terminal(script);
    let before = tcgetattr(&terminal).unwrap();

    minivmm.console.expect("keys\r\n");
    let during = tcgetattr(&terminal).unwrap();
    minivmm.send("\x03");
    minivmm.console.expect("0000000000000003\r\n");
    minivmm.send("\x01x");

    assert_eq!(minivmm.finish().status, 130);
    let keys = LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG;
    assert!(!during.local_flags.intersects(keys));
    assert!(before.local_flags.contains(keys));
    assert_eq!(tcgetattr(&terminal).unwrap().local_flags, before.local_flags);
}

#[test]
fn setup_has_nothing_to_do_and_to_say_the_second_time() {
    let mut setup = Command::new(root().join("scripts/setup"));
    let start = Instant::now();

    let output = setup.output().unwrap();

    // A busy machine is slow; fetching or building anything is slower.
    assert!(start.elapsed() < Duration::from_secs(5));
    assert_eq!(output.status.code(), Some(0));
    assert_eq!((stdout(&output), stderr(&output)), (String::new(), String::new()));
}

/// The script with a kernel and an initrd by relative paths.
fn boot(cmdline: &str) -> Command {
    let mut script = script();
    script.current_dir(guests());
    script.args(["--kernel", "Image-6.12", "--initrd", "./initramfs.cpio", "--cmdline", cmdline]);
    script
}

#[test]
fn a_gdb_port_is_reached_from_here_and_sigterm_ends_everything() {
    let port = Minivmm::free_port();
    let mut child = script()
        .arg("--kernel")
        .arg(guests().join("Image-6.12"))
        .args(["--gdb", &port.to_string()])
        .spawn()
        .unwrap();
    let mut errors = child.stderr.take().unwrap();
    read_until(
        &mut errors,
        &format!("minivmm: gdb: guest waits at its first instruction: target remote :{port}\n"),
    );

    let mut client = connect(port);
    client.write_all(b"+$qSupported:multiprocess+#c6").unwrap();
    let reply = read_until(&mut client, "#");
    terminate(&child);

    assert!(reply.starts_with("+$"), "{reply}");
    assert!(reply.contains("PacketSize="), "{reply}");
    assert_eq!(child.wait().unwrap().code(), Some(143));
    let mut rest = String::new();
    errors.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "minivmm: stopped by signal 15\n");
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "{port} is still open");
}

/// Connects as soon as the port is forwarded, which follows a moment after minivmm listens.
fn connect(port: u16) -> TcpStream {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match TcpStream::connect(("127.0.0.1", port)) {
            Ok(stream) => return stream,
            Err(error) => assert!(Instant::now() < deadline, "port {port}: {error}"),
        }
        std::thread::yield_now();
    }
}

#[test]
fn packets_on_standard_input_and_output_come_through_as_they_are() {
    let mut child = script()
        .arg("--kernel")
        .arg(bare_guest("unmapped"))
        .args(["--gdb", "stdio"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut packets = child.stdin.take().unwrap();
    let mut replies = child.stdout.take().unwrap();

    packets.write_all(b"$QStartNoAckMode#b0+").unwrap();
    assert_eq!(read_until(&mut replies, "#9a"), "+$OK#9a");
    // Every byte there is, those that the packet's frame needs escaped (RSP manual, Overview).
    let mut write = b"X40100000,100:".to_vec();
    for byte in 0..=255_u8 {
        match byte {
            b'#' | b'$' | b'}' | b'*' => write.extend([b'}', byte ^ 0x20]),
            byte => write.push(byte),
        }
    }
    let sum = write.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    packets
        .write_all(&[b"$", write.as_slice(), format!("#{sum:02x}").as_bytes()].concat())
        .unwrap();
    assert_eq!(read_until(&mut replies, "#9a"), "$OK#9a");
    packets.write_all(b"$m40100000,100#af").unwrap();
    let digits = (0..=255_u8).fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    let reply = read_until(&mut replies, "#");
    assert_eq!(reply, format!("${digits}#"));
    packets.write_all(b"$vCont;c#a8").unwrap();

    let output = child.wait_with_output().unwrap();
    let mut rest = String::new();
    replies.read_to_string(&mut rest).unwrap();
    // The sum of the digits, and the guest's end.
    assert_eq!(rest.get(2..), Some("$W00#b7"), "{rest}");
    assert_eq!(output.status.code(), Some(0));
    let said = stderr(&output);
    assert!(said.contains("its debugger is on standard input and output\n"), "{said}");
    assert!(said.contains("00000000ffffffff\n"), "{said}");
}

#[test]
fn gdb_starts_the_script_and_debugs_through_a_pipe() {
    let cache = std::env::var_os("MINIVMM_CACHE").map_or(root().join(".cache"), PathBuf::from);
    let gdb = cache.join("bin/gdb-multiarch");
    if !gdb.exists() {
        tests::skip("scripts/setup symbols has not been called: there is no GDB");
        return;
    }
    let console = tests::scratch().join("console");
    let kernel = bare_guest("count");
    // The emulated host takes longer to start than GDB waits by itself.
    let target = format!(
        "target remote | {} --kernel {} --gdb stdio 2>{}",
        root().join("scripts/minivmm").display(),
        kernel.display(),
        console.display()
    );
    let mut command = Command::new(gdb);
    command
        .args(["-nx", "-q", "-batch", "-ex", "set remotetimeout 60"])
        .arg(kernel.with_extension("elf"));
    for line in [&target, "break *&body", "continue", "continue", "delete", "continue"] {
        command.args(["-ex", line]);
    }

    let output = command.stdin(Stdio::null()).output().unwrap();

    let said = stdout(&output);
    assert_eq!(said.matches("Breakpoint 1, body").count(), 2, "{said}{}", stderr(&output));
    assert!(said.contains("exited normally"), "{said}{}", stderr(&output));
    let said = std::fs::read_to_string(console).unwrap();
    assert!(said.ends_with("\n000000000000000a\n"), "{said}");
}

#[test]
#[cfg_attr(target_arch = "aarch64", ignore = "this machine's clock does not count instructions")]
fn the_benchmark_shows_both_and_a_step_has_not_become_slow() {
    let mut bench = Command::new(root().join("scripts/bench"));
    let output = bench.args(["`vCont;s`, round trip", "program"]).output().unwrap();

    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let table = stdout(&output);
    let lines: Vec<Vec<_>> =
        table.lines().map(|line| line.split(" | ").map(str::trim).collect()).collect();
    let [head, _, size, step] = &lines[..] else { panic!("{table}") };
    assert!(head[1].starts_with("QEMU 11.") && head[2].starts_with("minivmm"), "{table}");
    assert!(size[0].contains("program, stripped") && size[5].starts_with("yes"), "{table}");
    // `3485 (3481..3487)`: median, least and most of five.
    let figures = |cell: &str| -> Vec<f64> {
        let numbers = cell.split(['(', ')', ' ']).flat_map(|word| word.split(".."));
        numbers.filter(|number| !number.is_empty()).map(|number| number.parse().unwrap()).collect()
    };
    let [qemu, minivmm] = [1, 2].map(|column| figures(step[column]));
    assert!(qemu.len() == 3 && minivmm.len() == 3, "{table}");
    assert!((2000.0..6000.0).contains(&qemu[0]), "{table}");
    // What it must be, and twice what it was when this was written: the clock counts instructions, so that it is no matter of chance.
    assert!(minivmm[0] <= 420.0 && step[5].starts_with("yes"), "{table}");
}

#[test]
fn a_gdb_port_that_is_taken_here_is_refused_with_2() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();

    let output = script().args(["--kernel", "/nonexistent", "--gdb", &port]).output().unwrap();

    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(stderr(&output).contains(&port), "{}", stderr(&output));
}

#[test]
#[cfg_attr(target_arch = "aarch64", ignore = "this machine's /dev/kvm is an arm64 one")]
fn another_machines_kvm_is_refused_with_1() {
    let kernel = root().join("Cargo.toml");

    let output = Command::new(env!("CARGO"))
        .current_dir(root())
        .args(["run", "--quiet", "-p", "minivmm", "--", "--kernel"])
        .arg(kernel)
        .output()
        .unwrap();

    assert_eq!(output.status.code(), Some(1));
    let message = stderr(&output);
    assert!(message.contains(std::env::consts::ARCH), "{message}");
    assert!(message.contains("expected arm64"), "{message}");
}
