//! The guest's serial console: through pipes, through a terminal, and the ways to end it.

use std::fmt::Write as _;
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;
use nix::sys::termios::{LocalFlags, Termios, tcgetattr};
use tests::transcript::PATIENCE;
use tests::{Minivmm, Shell, bare_guest, kernel};

/// Lines of 64 characters, each with its number.
fn lines(bytes: usize) -> String {
    let mut text = String::with_capacity(bytes);
    for number in 0..bytes / 64 {
        writeln!(text, "{number:08} {:054}", number * number).unwrap();
    }
    text
}

#[test]
fn what_is_typed_reaches_a_shell_and_its_output_comes_back() {
    let mut minivmm = Minivmm::boot_with("console=ttyAMA0 quiet", "6.1", &[]);
    let prompt = "/root # ";

    minivmm.console.expect(prompt);
    minivmm.send("echo $((6 * 7))\n");
    minivmm.console.expect("\n42\r\n");
    minivmm.console.expect(prompt);
    // Ctrl-C ends it, and Ctrl-A, which is no key of ours on a pipe, is a character like any other.
    minivmm.send("cat\n");
    minivmm.console.expect("cat\r\n");
    minivmm.send("one\x01x\n");
    minivmm.console.expect("one\x01x\r\n");
    minivmm.send("\x03");
    minivmm.console.expect("^C");
    minivmm.console.expect(prompt);
    minivmm.send("exit\n");

    assert_eq!(minivmm.finish().status, 0);
}

#[test]
fn a_paste_of_100_kb_into_linux_loses_nothing() {
    // All the while the guest does little but take interrupts, and where everything is emulated
    // that is long enough for it to complain.
    let cmdline = "console=ttyAMA0 quiet nowatchdog rcupdate.rcu_cpu_stall_suppress=1";
    let mut shell = Shell::boot_with(cmdline, &kernel(), &[]);
    // Line by line with the kernel's line editing, and as raw bytes.
    for (mode, paste) in [("icanon", lines(100 << 10)), ("-icanon", lines(8 << 10))] {
        shell.begin(&format!(
            "stty {mode} min 1; echo 'go' {mode}; head -c {} | sha256sum; stty icanon",
            paste.len()
        ));
        shell.minivmm.console.expect(&format!("go {mode}\r\n"));

        shell.minivmm.send(&paste);

        // A byte is two exits: more than a minute in an emulated host that is busy.
        let sum = shell.minivmm.console.expect_within("  -\r\n", 3 * PATIENCE);
        assert_eq!(sum, format!("{}  -\r\n", sha256(&paste)), "{mode}");
    }
    assert_eq!(shell.finish("poweroff -f").status, 0);
}

/// As the program of that name computes it.
fn sha256(text: &str) -> String {
    let mut child =
        Command::new("sha256sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), text.as_bytes()).unwrap();
    let output = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    output.split(' ').next().unwrap().to_owned()
}

#[test]
fn a_long_output_of_linux_arrives_whole() {
    let mut shell = Shell::boot(&kernel(), &[]);
    shell.run("stty -opost");

    let finished = shell.finish("echo BEGIN; seq 10000 13999 | cat; poweroff -f");

    let output = finished.console.split("BEGIN\n").nth(1).unwrap();
    let expected = (10000..14000).fold(String::new(), |text, number| text + &format!("{number}\n"));
    // Whatever the kernel says when it powers off comes behind.
    let output = output.get(..expected.len()).unwrap_or(output);
    assert!(output == expected, "{} bytes, expected {}", output.len(), expected.len());
}

#[test]
fn a_guest_runs_on_when_standard_input_has_ended() {
    for stdin in [Stdio::null(), Stdio::piped()] {
        let mut command = Command::new(Minivmm::binary());
        let mut minivmm =
            Minivmm::spawn(command.arg("--kernel").arg(bare_guest("suspend")).stdin(stdin));
        minivmm.close_stdin();

        let finished = minivmm.finish();

        assert_eq!(finished.console, "suspending\n0000000000000000 from CPU_SUSPEND\n");
        assert_eq!(finished.status, 0);
    }
}

#[test]
fn input_from_a_file_reaches_the_guest() {
    let path = tests::scratch().join("keys");
    std::fs::write(&path, "a\x01x\x04").unwrap();
    let mut command = Command::new(Minivmm::binary());
    command.stdin(std::fs::File::open(path).unwrap());

    let finished = Minivmm::spawn(command.arg("--kernel").arg(bare_guest("keys"))).finish();

    assert_eq!(
        finished.console,
        "keys\n0000000000000061\n0000000000000001\n0000000000000078\n0000000000000004\n"
    );
}

#[test]
fn signals_end_it_with_their_status() {
    for (signal, status, message) in [
        (Signal::SIGINT, 130, "minivmm: stopped by the user\n"),
        (Signal::SIGTERM, 143, "minivmm: stopped by signal 15\n"),
        (Signal::SIGHUP, 129, "minivmm: stopped by signal 1\n"),
    ] {
        let minivmm = Minivmm::start_bare("wait", &[]);
        minivmm.console.expect("waiting\n");

        minivmm.signal(signal);

        let finished = minivmm.finish();
        assert_eq!(finished.status, status, "{signal}");
        assert_eq!(finished.stderr, message);
    }
}

#[test]
fn a_reader_that_goes_away_ends_it_with_1() {
    let kernel = bare_guest("wait");
    let mut child = Command::new(Minivmm::binary())
        .arg("--kernel")
        .arg(kernel)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();

    drop(child.stdout.take());

    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "minivmm: standard output: broken pipe\n"
    );
}

/// A guest on a terminal that prints the numbers of the keys that it gets.
fn on_terminal() -> (Minivmm, std::os::fd::OwnedFd) {
    let kernel = bare_guest("keys");
    Minivmm::start_on_terminal(["--kernel".as_ref(), kernel.as_os_str()])
}

fn is_raw(settings: &Termios) -> bool {
    let cooked = LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG;
    !settings.local_flags.intersects(cooked)
}

fn is_cooked(settings: &Termios) -> bool {
    let cooked = LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG;
    settings.local_flags.contains(cooked)
}

#[test]
fn a_terminal_is_raw_while_the_guest_runs_and_restored_when_it_powers_off() {
    let (mut minivmm, terminal) = on_terminal();
    minivmm.console.expect("keys\r\n");
    let during = tcgetattr(&terminal).unwrap();
    minivmm.send("k");
    minivmm.send("\x04");

    let finished = minivmm.finish();

    assert!(is_raw(&during), "{during:?}");
    assert!(is_cooked(&tcgetattr(&terminal).unwrap()));
    assert_eq!(finished.status, 0);
    assert_eq!(finished.console, "keys\r\n000000000000006b\r\n0000000000000004\r\n");
}

#[test]
fn a_terminal_is_restored_after_a_signal() {
    let (minivmm, terminal) = on_terminal();
    minivmm.console.expect("keys\r\n");
    assert!(is_raw(&tcgetattr(&terminal).unwrap()));

    minivmm.signal(Signal::SIGTERM);

    assert_eq!(minivmm.finish().status, 143);
    assert!(is_cooked(&tcgetattr(&terminal).unwrap()));
}

#[test]
fn a_terminal_is_restored_after_a_crash() {
    let kernel = bare_guest("pair");

    let (minivmm, terminal) = Minivmm::start_on_terminal(["--kernel".as_ref(), kernel.as_os_str()]);

    assert_eq!(minivmm.finish().status, 33);
    assert!(is_cooked(&tcgetattr(&terminal).unwrap()));
}

#[test]
fn ctrl_a_x_quits_and_restores_the_terminal() {
    let (mut minivmm, terminal) = on_terminal();
    minivmm.console.expect("keys\r\n");

    minivmm.send("\x01x");

    let finished = minivmm.finish();
    assert_eq!(finished.status, 130);
    assert_eq!(finished.stderr, "minivmm: stopped by the user\n");
    assert!(is_cooked(&tcgetattr(&terminal).unwrap()));
}

#[test]
fn ctrl_a_h_lists_the_keys_and_ctrl_c_is_the_guests() {
    let (mut minivmm, _terminal) = on_terminal();
    minivmm.console.expect("keys\r\n");

    minivmm.send("\x01h");
    minivmm
        .stderr
        .expect("Ctrl-A x quits, Ctrl-A a sends Ctrl-A to the guest, Ctrl-A h shows this\n");
    minivmm.send("\x03\x01a\x04");

    let finished = minivmm.finish();
    // Nothing of Ctrl-A h, Ctrl-C, the Ctrl-A of Ctrl-A a, and the end.
    assert_eq!(
        finished.console,
        "keys\r\n0000000000000003\r\n0000000000000001\r\n0000000000000004\r\n"
    );
    assert_eq!(finished.status, 0);
}
