//! Disks of a Linux guest: its root file system on one, others read and written whole, at random, and until minivmm is killed.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};

use nix::sys::signal::Signal;
use tests::initramfs::{RDINIT, with_modules};
use tests::minivmm::QUICK;
use tests::pages::{self, COPIED, Xorshift, difference};
use tests::shell::INIT;
use tests::{Minivmm, Shell, Shm, bare_guest, generic, guest};

const MIB: usize = 1 << 20;
/// Bytes that are written at random.
const RANDOM: u64 = 16 << 20;
const SECTOR: usize = 512;
/// An image with compressed clusters, and the MD5 sum of its disk.
const QCOW2: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../devices/src/disk/qcow2/images/zstd.qcow2");
const QCOW2_SUM: &str = "23f32d49d5941a374051b7b830abc72b";

/// Checks a disk that random_io.c was writing when everything ended, after it had said that this many writes were durable.
fn verify(path: &str, durable: u32) {
    let sectors = RANDOM / SECTOR as u64;
    // As random_io.c has it.
    let mut random = Xorshift(88_172_645_463_325_252);
    // Some of those that follow may have been done as well.
    let writes: Vec<_> = (0..durable + 10_000)
        .map(|_| {
            let count = 1 + random.draw() % 128;
            let first = random.draw() % (sectors - count);
            first..first + count
        })
        .collect();
    let mut least = vec![0; sectors as usize];
    for (number, range) in (1..=durable).zip(&writes) {
        range.clone().for_each(|sector| least[sector as usize] = number);
    }
    let mut bytes = vec![0; RANDOM as usize];
    File::open(path).unwrap().read_exact_at(&mut bytes, 0).unwrap();
    let mut written = 0;
    for ((place, least), content) in (0..).zip(least).zip(bytes.chunks(SECTOR)) {
        let word = |at: usize| u64::from_le_bytes(content[at..at + 8].try_into().unwrap());
        let number = word(0);
        assert!(
            number >= u64::from(least),
            "sector {place}: write {least} is durable, found {number}"
        );
        assert!((0..SECTOR).step_by(16).all(|at| word(at) == number), "sector {place} is torn");
        if number != 0 {
            assert!(
                writes[number as usize - 1].contains(&place),
                "sector {place} is of write {number}"
            );
            assert!((8..SECTOR).step_by(16).all(|at| word(at) == place), "sector {place}");
            written += 1;
        }
    }
    assert!(written > durable, "{written} sectors of {durable} writes");
}

#[test]
fn linux_has_its_root_on_a_disk_and_what_it_was_told_is_durable_survives_a_kill() {
    let shm = Shm::new();
    let [root, source, target] = ["root", "source", "target"].map(|name| shm.join(name));
    fs::copy(guest("root.ext4"), &root).unwrap();
    pages::fill(&source);
    File::create(&target).unwrap().set_len(COPIED as u64).unwrap();
    let random_io = bare_guest("random_io").with_extension("");
    let initrd = with_modules(&generic(), &[("random_io", &random_io)]);
    let newroot = "newroot=/dev/vda newtype=ext4";
    let mut shell = Shell::on(Minivmm::start([
        "--kernel",
        guest(&format!("Image-{}", generic())).to_str().unwrap(),
        "--initrd",
        initrd.to_str().unwrap(),
        "--cmdline",
        &format!("{QUICK} console=ttyAMA0 quiet panic=-1 {RDINIT} {newroot} -- {INIT}"),
        "--disk",
        &root,
        "--disk",
        &format!("{source},ro,serial=SOURCE-1"),
        "--disk",
        &target,
        "--disk",
        &format!("{QCOW2},ro"),
        "--share",
        shm.path().to_str().unwrap(),
        "--cpus",
        "2",
    ]));

    // In the order of the command line.
    let mounted = shell.run("grep ' / ' /proc/mounts");
    assert!(mounted.contains("/dev/vda / ext4 rw"), "{mounted}");
    assert_eq!(shell.run("cat /sys/block/vd?/size"), "32768\n524288\n524288\n64");
    assert_eq!(
        shell.run("for d in a b c; do cat /sys/block/vd$d/serial; echo; done"),
        "root\nSOURCE-1\ntarget"
    );
    assert_eq!(shell.run("cat /sys/block/vd?/ro"), "0\n1\n0\n1");
    assert_eq!(shell.run("dd if=/dev/zero of=/dev/vdb bs=512 count=1 2>/dev/null; echo $?"), "1");

    let copied = shell.run("dd if=/dev/vdb of=/dev/vdc bs=1M conv=fsync 2>&1; echo $?");
    assert!(copied.contains("256+0 records out") && copied.ends_with("\n0"), "{copied}");
    assert_eq!(difference(&source, &target), None);
    let used = || fs::metadata(&target).unwrap().blocks() as usize * 512 / MIB;
    assert_eq!(used(), 256);

    assert_eq!(shell.run("busybox blkdiscard -o 0 -l 134217728 /dev/vdc; echo $?"), "0");
    assert_eq!(used(), 128);
    assert_eq!(
        shell
            .run("dd if=/dev/vdc bs=1M count=1 2>/dev/null | cmp - /dev/zero 2>&1")
            .replace("-: ", ""),
        "cmp: EOF on -"
    );

    assert_eq!(shell.run("busybox md5sum < /dev/vdd"), format!("{QCOW2_SUM}  -"));

    // The entropy device, which every guest has.
    assert_eq!(shell.run("cat /sys/class/misc/hw_random/rng_current"), "virtio_rng.0");
    let [one, other] = [(); 2].map(|()| shell.run("head -c 4096 /dev/hwrng | busybox md5sum"));
    assert!(one.len() == 35 && one != other, "{one} {other}");

    // minivmm runs as root, or as the user whose files the guest's root has.
    shell.run("mkdir /tmp/share; mount -t virtiofs share0 /tmp/share; touch /tmp/share/roots");
    let own = fs::metadata(shm.path()).unwrap().uid();
    assert_eq!(fs::metadata(shm.join("roots")).unwrap().uid(), own);
    assert_eq!(shell.run("chown 7:8 /tmp/share/roots; echo $?"), if own == 0 { "0" } else { "1" });
    if own == 0 {
        let metadata = fs::metadata(shm.join("roots")).unwrap();
        assert_eq!((metadata.uid(), metadata.gid()), (7, 8));
    }

    shell.run("echo 'a line that is to be kept' > /kept; sync");
    shell.begin("/run/random_io /dev/vdc 16777216");
    shell.minivmm.console.expect("durable 480\r\n");
    shell.minivmm.signal(Signal::SIGKILL);
    let console = shell.minivmm.finish().console;

    let last = console.lines().filter_map(|line| line.strip_prefix("durable ")?.parse().ok()).max();
    verify(&target, last.unwrap());
    let root = fs::read(&root).unwrap();
    let kept = b"a line that is to be kept";
    assert!(root.windows(kept.len()).any(|bytes| bytes == kept));
}
