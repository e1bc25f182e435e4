//! Packets that GDB needs for what people do most, on Debian's kernel with four vCPUs. Most of them are for what the line
//! that GDB prints says, so that they differ from place to place; the limits are those of the best stub that was
//! measured, at its place.

use tests::{Gdb, Minivmm, kernel, vmlinux};

/// Runs a command with GDB's log of packets on.
fn log(gdb: &mut Gdb, command: &str) -> String {
    gdb.run("set debug remote 1");
    let said = gdb.run(command);
    gdb.run("set debug remote 0");
    said
}

fn count(gdb: &mut Gdb, command: &str) -> usize {
    log(gdb, command).matches("Sending packet: ").count()
}

/// Packets for a `stepi` within a function, and for five `next` behind it. Most `stepi`: those that enter a function or
/// leave its prologue take some more.
fn steps(gdb: &mut Gdb) -> (usize, usize) {
    let mut steps: Vec<usize> = (0..5).map(|_| count(gdb, "stepi")).collect();
    steps.sort_unstable();
    (steps[2], (0..5).map(|_| count(gdb, "next")).sum())
}

fn go_to(gdb: &mut Gdb, place: &str) {
    gdb.run(&format!("tbreak {place}"));
    let said = gdb.run("continue");
    assert!(said.contains("hit Temporary breakpoint"), "{said}");
}

#[test]
fn few_packets_for_steps_and_none_for_false_conditions() {
    let port = Minivmm::free_port();
    let more = ["--cpus", "4", "--gdb", &port.to_string()];
    let mut minivmm = Minivmm::boot_with("console=ttyAMA0 quiet panic=-1", &kernel(), &more);
    let mut gdb = Gdb::start(Some(&vmlinux()));
    gdb.connect(format!(":{port}"));

    go_to(&mut gdb, "setup_arch");
    let (step, next) = steps(&mut gdb);
    assert!(step <= 9 && next <= 170, "{step} for a stepi, {next} for five next");

    gdb.run("mem 0 0 rw cache");
    gdb.run("set dcache line-size 1024");
    go_to(&mut gdb, "sched_init");
    let (step, next) = steps(&mut gdb);
    assert!(step <= 3 && next <= 84, "{step} for a stepi, {next} for five next, with a cache");

    gdb.begin("continue");
    minivmm.console.expect("/root # ");
    gdb.interrupt();
    gdb.end();
    gdb.run("break vfs_read if count == 77");
    gdb.run("set debug remote 1");
    gdb.begin("continue");
    minivmm.send(
        "dd if=/dev/zero of=/dev/null bs=13 count=30; dd if=/dev/zero of=/dev/null bs=77 count=1\n",
    );
    let said = gdb.end();
    gdb.run("set debug remote 0");

    assert!(said.contains(", vfs_read ("), "{said}");
    assert_eq!(gdb.value("count"), 77);
    // Thirty hits more than the one reported: from the last resume to the stop nothing was sent.
    let (_, run) = said.rsplit_once("Sending packet: $vCont;c").expect("a resume");
    let (run, _) = run.split_once("Packet received: T05").expect("a stop");
    assert!(!run.contains("Sending packet") && !run.contains("Packet received"), "{run}");
    // Linux has not printed all of it when it is stopped.
    gdb.run("delete");
    gdb.begin("continue");
    minivmm.console.expect("30+0 records out");
    gdb.interrupt();
    gdb.end();
    gdb.assert_no_complaint();
}
