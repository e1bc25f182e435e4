//! The device tree as dtc and fdtget read it, and as a guest sees it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tests::shell::INIT;
use tests::{Minivmm, Shell, bare_guest, guest, kernel, scratch};

/// Writes the device tree for these arguments.
fn dump(name: &str, arguments: &[&str]) -> PathBuf {
    dump_for(&bare_guest("poweroff"), name, arguments)
}

fn dump_for(kernel: &Path, name: &str, arguments: &[&str]) -> PathBuf {
    let path = scratch().join(name);
    let fixed = ["--kernel", kernel.to_str().unwrap(), "--dump-dtb", path.to_str().unwrap()];

    let finished = Minivmm::start(fixed.iter().chain(arguments)).finish();

    assert_eq!(finished.status, 0, "{}", finished.stderr);
    assert_eq!((finished.console.as_str(), finished.stderr.as_str()), ("", ""));
    path
}

/// A property as fdtget prints it: strings as they are, numbers in hexadecimal (`kind` "x").
fn get(blob: &Path, kind: &str, node: &str, property: &str) -> String {
    fdtget(blob, &["-t", kind], &[node, property])
}

fn fdtget(blob: &Path, options: &[&str], what: &[&str]) -> String {
    let output = Command::new("fdtget").args(options).arg(blob).args(what).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "fdtget {options:?} {what:?}: {error}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

fn initrd() -> String {
    guest("initramfs.cpio").to_str().unwrap().to_owned()
}

/// Compatible strings of the interrupt controller.
fn gic(blob: &Path) -> String {
    get(blob, "s", "/intc@8000000", "compatible")
}

#[test]
fn dtc_has_nothing_to_say_about_it() {
    // With a GICv3 a second redistributor region and an MPIDR with Aff1; a GICv2 takes eight vCPUs.
    let is_v3 = gic(&dump("machine.dtb", &[])) == "arm,gic-v3";
    let many = if is_v3 { "130" } else { "8" };
    for (name, arguments) in [
        ("one.dtb", &["--cpus", "1"][..]),
        ("four.dtb", &["--cpus", "4", "--initrd", &initrd(), "--cmdline", "quiet"]),
        ("many.dtb", &["--cpus", many, "--memory", "3G"]),
    ] {
        let blob = dump(name, arguments);

        let output =
            Command::new("dtc").args(["-I", "dtb", "-O", "dts"]).arg(blob).output().unwrap();

        assert!(output.status.success());
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "", "{name}");
    }
}

#[test]
fn it_describes_what_the_command_line_asked_for() {
    let blob = dump(
        "machine.dtb",
        &[
            "--cpus",
            "4",
            "--memory",
            "3G",
            "--cmdline",
            "console=ttyAMA0 -- a",
            "--initrd",
            &initrd(),
        ],
    );

    assert_eq!(fdtget(&blob, &["-l"], &["/cpus"]), "cpu@0\ncpu@1\ncpu@2\ncpu@3");
    assert_eq!(get(&blob, "x", "/memory@40000000", "reg"), "0 40000000 0 c0000000");
    assert_eq!(get(&blob, "s", "/chosen", "bootargs"), "console=ttyAMA0 -- a");
    let start = get(&blob, "x", "/chosen", "linux,initrd-start");
    let end = get(&blob, "x", "/chosen", "linux,initrd-end");
    let address = |cells: &str| u64::from_str_radix(cells.strip_prefix("0 ").unwrap(), 16).unwrap();
    let size = fs::metadata(guest("initramfs.cpio")).unwrap().len();
    assert_eq!(address(&end) - address(&start), size);
}

#[test]
fn it_describes_the_machine() {
    let blob = dump("machine.dtb", &[]);

    assert_eq!(fdtget(&blob, &["-l"], &["/cpus"]), "cpu@0");
    assert_eq!(get(&blob, "s", "/psci", "method"), "hvc");
    assert_eq!(get(&blob, "s", "/cpus/cpu@0", "enable-method"), "psci");
    assert_eq!(get(&blob, "s", "/chosen", "stdout-path"), "/pl011@9000000");
    assert_eq!(get(&blob, "s", "/pl011@9000000", "compatible"), "arm,pl011 arm,primecell");
    assert_eq!(get(&blob, "s", "/pl031@9010000", "compatible"), "arm,pl031 arm,primecell");
    let gic = gic(&blob);
    assert!(["arm,gic-v3", "arm,cortex-a15-gic"].contains(&gic.as_str()), "{gic}");
}

#[test]
fn every_guest_gets_another_seed_of_32_bytes_and_one_of_8_for_its_place() {
    let [one, other] = ["one.dtb", "other.dtb"].map(|name| dump(name, &[]));

    for (name, bytes) in [("rng-seed", 32), ("kaslr-seed", 8)] {
        let [one, other] = [&one, &other].map(|blob| get(blob, "bx", "/chosen", name));
        assert_eq!(one.split(' ').count(), bytes, "{one}");
        assert_ne!(one, other);
    }
}

#[test]
fn linux_boots_with_a_dumped_tree_that_was_changed() {
    let cmdline = format!("console=ttyAMA0 quiet mark=ours -- {INIT}");
    let blob = dump_for(
        &guest(&format!("Image-{}", kernel())),
        "machine.dtb",
        &["--cpus", "2", "--initrd", &initrd(), "--cmdline", &cmdline],
    );
    let changed = Command::new("fdtput")
        .args(["-t", "s", blob.to_str().unwrap(), "/", "model", "changed-by-hand"])
        .status()
        .unwrap();
    assert!(changed.success());

    let more = ["--cpus", "2", "--dtb", blob.to_str().unwrap()];
    let mut shell = Shell::boot_with("mark=ignored", &kernel(), &more);

    assert_eq!(shell.run("cat /proc/cmdline"), cmdline);
    assert_eq!(shell.run("cat /proc/device-tree/model | tr -d '\\0'"), "changed-by-hand");
    assert_eq!(shell.run("nproc"), "2");
    assert_eq!(shell.finish("poweroff -f").status, 0);
}
