//! The virtio console of a bare-metal guest, and what reads along with it.

use std::fs;
use std::process::Command;

use nix::sys::signal::Signal;
use rustix::termios::{Winsize, tcsetwinsize};
use tests::{Minivmm, Rsp, bare_guest, scratch};

const VIRTIO: [&str; 2] = ["--console", "virtio"];
/// What the guest says before it has a queue, and its size where there is no terminal.
const BEGIN: &str = "by the UART\n!\n0000\n0000\n";

#[test]
fn all_that_comes_and_goes_by_it_is_standard_input_and_output() {
    let log = scratch().join("log");
    let report = scratch().join("report");
    let files = [&log, &report].map(|path| path.to_str().unwrap());
    let more = ["--console-log", files[0], "--report", files[1]];
    let mut minivmm = Minivmm::start_bare("hvc", &[&VIRTIO[..], &more].concat());
    minivmm.console.expect(BEGIN);

    minivmm.send("a\x01x\x04");

    let finished = minivmm.finish();
    assert_eq!((finished.status, finished.stderr.as_str()), (0, ""));
    // With what it has left in its queue.
    let said = format!("{BEGIN}0061\n0001\n0078\n0004\nlast words\n");
    assert_eq!(finished.console, said);
    assert_eq!(fs::read_to_string(log).unwrap(), said);
    let report: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(report).unwrap()).unwrap();
    assert_eq!(report["console"][8], "last words");
    assert!(report["times_ms"]["first_console_byte"].is_number());
}

#[test]
fn a_line_of_it_ends_the_run() {
    let more = ["--until", "^000[4]$", "--fail-on", "^0062$"];
    for (keys, status) in [("a\x04", 0), ("ab\x04", 34)] {
        let mut minivmm = Minivmm::start_bare("hvc", &[&VIRTIO[..], &more].concat());
        minivmm.console.expect(BEGIN);

        minivmm.send(keys);

        assert_eq!(minivmm.finish().status, status);
    }
}

#[test]
fn on_a_terminal_it_has_the_keys_and_the_size() {
    let mut command = Command::new(Minivmm::binary());
    command.arg("--kernel").arg(bare_guest("hvc")).args(VIRTIO);
    let size = |ws_col, ws_row| Winsize { ws_row, ws_col, ws_xpixel: 0, ws_ypixel: 0 };
    let (mut minivmm, terminal) = Minivmm::spawn_on_terminal(&mut command);
    minivmm.console.expect("by the UART\r\n!\r\n0000\r\n0000\r\n");

    for (cols, rows, said) in [(80, 25, "0050\r\n0019\r\n"), (132, 43, "0084\r\n002b\r\n")] {
        tcsetwinsize(&terminal, size(cols, rows)).unwrap();
        minivmm.signal(Signal::SIGWINCH);
        // Both come by the same loop.
        minivmm.send("\x01h");
        minivmm.stderr.expect("Ctrl-A x quits");
        minivmm.send("\x12");
        minivmm.console.expect(said);
    }
    minivmm.send("\x01x");

    assert_eq!(minivmm.finish().status, 130);
}

#[test]
fn it_is_there_again_when_a_debugger_has_run_the_guest_anew() {
    let port = Minivmm::free_port();
    let address = port.to_string();
    let more = [&VIRTIO[..], &["--gdb", &address]].concat();
    let mut minivmm = Minivmm::start_bare("hvc", &more);
    minivmm.stderr.expect("target remote");
    let mut rsp = Rsp::connect(port);
    rsp.order("!");
    rsp.send("vCont;c");
    minivmm.console.expect(BEGIN);
    minivmm.send("a");
    minivmm.console.expect("0061\n");
    rsp.interrupt();

    rsp.resume("vRun;");
    rsp.send("vCont;c");

    minivmm.console.expect(BEGIN);
    minivmm.send("b\x04");
    assert_eq!(rsp.receive(), "W00;process:1");
    drop(rsp);
    assert_eq!(minivmm.finish().console, format!("{BEGIN}0061\n{BEGIN}0062\n0004\nlast words\n"));
}

#[test]
fn without_a_console_nothing_is_shown_and_nothing_is_read() {
    // It waits for a key by the UART, which has none, though it is there.
    let mut minivmm = Minivmm::start_bare("keys", &["--console", "none", "--timeout", "2s"]);

    minivmm.send("a\x04");

    let finished = minivmm.finish();
    assert_eq!(finished.console, "");
    assert_eq!(finished.status, 124);
}
