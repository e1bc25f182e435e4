//! SIGTERM: the guest is asked to power off by its power button, and killed if it does not.

use std::time::Instant;

use nix::sys::signal::Signal;
use tests::{Minivmm, guest, has_16k, initramfs, skip};

const LISTEN: &str = "\x07";
const OBEY: &str = "\x0f";

/// A guest that does what it is told.
fn parrot(flags: &[&str]) -> Minivmm {
    let minivmm = Minivmm::start_bare("parrot", flags);
    minivmm.console.expect("ready\n");
    minivmm
}

#[test]
fn a_guest_that_listens_powers_off_and_the_status_is_the_signals() {
    let mut minivmm = parrot(&[]);
    minivmm.send(LISTEN);
    minivmm.console.expect("listening\n");
    minivmm.send(OBEY);

    minivmm.signal(Signal::SIGTERM);

    let finished = minivmm.finish();
    assert_eq!(finished.console, "ready\nlistening\npressed\nlet go\n");
    assert_eq!(finished.status, 143);
}

#[test]
fn a_guest_that_does_not_power_off_is_killed_after_10_s_or_by_a_second_signal() {
    for is_twice in [false, true] {
        let mut minivmm = parrot(&[]);
        minivmm.send(LISTEN);
        minivmm.console.expect("listening\n");
        let start = Instant::now();

        minivmm.signal(Signal::SIGTERM);
        minivmm.stderr.expect("asked the guest to power off");
        if is_twice {
            minivmm.signal(Signal::SIGTERM);
        }

        assert_eq!(minivmm.finish().status, 143);
        assert_eq!(start.elapsed().as_secs() >= 10, !is_twice, "{:?}", start.elapsed());
    }
}

#[test]
fn a_guest_that_does_not_listen_and_one_that_is_stopped_are_killed_at_once() {
    let port = Minivmm::free_port().to_string();
    let stopped = Minivmm::start_bare("parrot", &["--gdb", &port]);
    stopped.stderr.expect("target remote");
    for minivmm in [parrot(&[]), stopped] {
        minivmm.signal(Signal::SIGTERM);

        let finished = minivmm.finish();
        assert_eq!(finished.status, 143);
        assert!(finished.stderr.ends_with("minivmm: stopped by signal 15\n"));
        assert!(!finished.stderr.contains("asked"), "{}", finished.stderr);
    }
}

/// Debian's generic kernels have the driver, and the one for /dev/input, as modules; the cloud ones have no driver for keys at all.
#[test]
fn a_kernel_powers_off_when_its_power_button_is_pressed() {
    const VERSION: &str = "6.12-16k";
    if !has_16k() {
        return skip("has no 16K pages, as the only kernel with drivers for keys does");
    }
    let modules = ["evdev", "gpio_keys"].map(|name| guest(&format!("{name}-{VERSION}.ko.xz")));
    let files: Vec<_> = ["evdev.ko.xz", "gpio_keys.ko.xz"]
        .into_iter()
        .zip(modules.iter().map(|it| &**it))
        .collect();
    let initrd = initramfs::with_programs(&files);
    // Events are for those who have it open by then.
    let init = "sh -c \"for it in evdev gpio_keys; do xzcat /bin/$it.ko.xz >/m.ko; insmod /m.ko; done; \
        exec 3</dev/input/event0; echo 'listening' now; head -c 24 <&3 | tail -c 8 | xxd -p; poweroff -f\"";
    let mut arguments = vec!["--kernel".into(), guest(&format!("Image-{VERSION}"))];
    arguments.extend(["--initrd".into(), initrd]);
    arguments.extend(["--cmdline".into(), format!("console=ttyAMA0 quiet -- {init}").into()]);
    let minivmm = Minivmm::start(arguments);
    minivmm.console.expect("listening now");

    minivmm.signal(Signal::SIGTERM);

    // EV_KEY, KEY_POWER, pressed (Linux, struct input_event).
    minivmm.console.expect("0100740001000000");
    let finished = minivmm.finish();
    assert!(!finished.console.contains("panic"), "{}", finished.console);
    assert_eq!(finished.status, 143);
    assert!(finished.stderr.contains("asked the guest to power off"), "{}", finished.stderr);
}
