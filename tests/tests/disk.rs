//! Files that cannot be disks, or not now: one line that says why, and nothing is started.

use std::fs::{self, File};

use tests::{Minivmm, Shm, scratch};

/// The message that answers these arguments behind a usable kernel, without `--disk PATH: `.
fn refused(path: &str, words: &str) -> String {
    let finished = Minivmm::start_bare("poweroff", &["--disk", &format!("{path}{words}")]).finish();
    assert_eq!((finished.status, finished.console.as_str()), (2, ""), "{}", finished.stderr);
    let line = finished.stderr.strip_suffix('\n').unwrap();
    assert!(!line.contains('\n'), "more than one line: {line:?}");
    let prefix = format!("minivmm: --disk {path}: ");
    line.strip_prefix(&prefix).unwrap_or_else(|| panic!("{line:?}")).to_owned()
}

fn file(shm: &Shm, name: &str, len: u64) -> String {
    let path = shm.join(name);
    File::create(&path).unwrap().set_len(len).unwrap();
    path
}

#[test]
fn what_is_no_disk_is_named() {
    let shm = Shm::new();

    assert_eq!(
        refused("/nonexistent/disk", ",ro"),
        "cannot open: No such file or directory (os error 2)"
    );
    assert_eq!(
        refused(scratch().to_str().unwrap(), ""),
        "is a directory, expected a file or a block device"
    );
    assert_eq!(refused("/dev/zero", ""), "is neither a file nor a block device");
    assert_eq!(refused(&file(&shm, "empty", 0), ""), "is empty");
    assert_eq!(
        refused(&file(&shm, "uneven", 1000), ",ro"),
        "1000 bytes, expected a multiple of 512 (truncate -s %512 makes it one)"
    );
}

#[test]
fn a_disk_has_one_writer_or_many_readers() {
    let shm = Shm::new();
    let path = file(&shm, "disk", 1 << 20);
    let holder = |words: &str| {
        let gdb = shm.join("gdb");
        let _ = fs::remove_file(&gdb);
        let disk = format!("{path}{words}");
        let address = format!("unix:{gdb}");
        let minivmm = Minivmm::start_bare("poweroff", &["--disk", &disk, "--gdb", &address]);
        minivmm.stderr.expect("guest waits");
        minivmm
    };
    let works = |words: &str| {
        Minivmm::start_bare("poweroff", &["--disk", &format!("{path}{words}")]).finish().status
    };

    let writer = holder("");
    let who = format!("is in use by process {} (minivmm), expected ", writer.pid());
    let one = "to be written by one alone (several may have it with ,ro)";
    assert_eq!(refused(&path, ""), format!("{who}{one}"));
    let unwritten = "not to be written (several may have it with ,ro)";
    assert_eq!(refused(&path, ",ro"), format!("{who}{unwritten}"));
    drop(writer);

    let reader = holder(",ro");
    let who = format!("is in use by process {} (minivmm), expected ", reader.pid());
    assert_eq!(refused(&path, ""), format!("{who}{one}"));
    assert_eq!(works(",ro"), 0);
    drop(reader);
    assert_eq!(works(""), 0);

    let twice = ["--disk", path.as_str(), "--disk", path.as_str()];
    let finished = Minivmm::start_bare("poweroff", &twice).finish();
    assert_eq!(finished.status, 2);
    assert!(finished.stderr.contains("this command line names it twice"), "{}", finished.stderr);
}

#[test]
fn more_disks_than_there_are_transports() {
    let shm = Shm::new();
    let disks: Vec<String> = (0..32).map(|number| file(&shm, &format!("{number}"), 512)).collect();
    let words = |count: usize| disks.iter().take(count).flat_map(|path| ["--disk", path]);

    let many: Vec<&str> = words(31).collect();
    assert_eq!(Minivmm::start_bare("poweroff", &many).finish().status, 0);

    let more: Vec<&str> = words(32).collect();
    let finished = Minivmm::start_bare("poweroff", &more).finish();
    assert_eq!(finished.status, 2);
    assert_eq!(finished.stderr, "minivmm: virtio-blk: no room for more than 32 virtio devices\n");
}
