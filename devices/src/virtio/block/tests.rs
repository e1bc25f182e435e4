use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use vm_memory::{Bytes, GuestAddress};

use super::{Block, DISCARD, FLUSH, Face, MOST_ZEROED, RO, WRITE_ZEROES};
use crate::disk::Disk;
use crate::virtio::tests::driver::Driver;

const IN: u32 = 0;
const OUT: u32 = 1;
const FLUSH_NOW: u32 = 4;
const GET_ID: u32 = 8;
const DISCARD_NOW: u32 = 11;
const WRITE_ZEROES_NOW: u32 = 13;

const OK: u8 = 0;
const IO_ERROR: u8 = 1;
const UNSUPPORTED: u8 = 2;

const LEN: u64 = 1 << 20;

/// A file of [`LEN`] bytes, each a function of where it is, that is gone when it is closed.
fn file() -> File {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("minivmm-block-{}-{number}", process::id()));
    let bytes: Vec<u8> = (0..LEN).map(|at| (at / 512 + at) as u8).collect();
    fs::write(&path, bytes).unwrap();
    let file = File::options().read(true).write(true).open(&path).unwrap();
    fs::remove_file(&path).unwrap();
    file
}

fn sectors(file: &File, sector: u64, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; 512 * count];
    file.read_exact_at(&mut bytes, 512 * sector).unwrap();
    bytes
}

struct Machine {
    driver: Driver,
    file: File,
    failures: Arc<Mutex<Vec<String>>>,
}

/// A driver that has accepted these features of a disk.
fn machine(file: File, is_read_only: bool, features: u64) -> Machine {
    let disk = Disk::new(file.try_clone().unwrap(), is_read_only).unwrap();
    let disk = Arc::new(Mutex::new(disk));
    let failures: Arc<Mutex<Vec<String>>> = Arc::default();
    let heard = failures.clone();
    let on_failure = Box::new(move |what: &str| heard.lock().unwrap().push(what.to_owned()));
    let face = Face::new(&disk);
    let mut driver = Driver::new(face, Block::new(disk, "a serial number of 24 bytes", on_failure));
    driver.begin(features, 1);
    Machine { driver, file, failures }
}

fn writable() -> Machine {
    machine(file(), false, FLUSH | DISCARD | WRITE_ZEROES)
}

fn header(kind: u32, sector: u64) -> Vec<u8> {
    [&kind.to_le_bytes()[..], &[0; 4], &sector.to_le_bytes()].concat()
}

fn segment(sector: u64, count: u32, flags: u32) -> Vec<u8> {
    [&sector.to_le_bytes()[..], &count.to_le_bytes(), &flags.to_le_bytes()].concat()
}

impl Machine {
    /// One request; its status, and what the device put in front of that.
    fn ask(&mut self, kind: u32, sector: u64, data: &[u8], room: u32) -> (u8, Vec<u8>) {
        let header = header(kind, sector);
        let bytes = [&header[..], data];
        let bytes = if data.is_empty() { &bytes[..1] } else { &bytes };
        let room = [room, 1];
        let room = if room[0] == 0 { &room[1..] } else { &room };
        let (written, mut bytes) = self.driver.ask(0, bytes, room);
        assert_eq!(written, room.iter().sum::<u32>());
        (bytes.pop().unwrap(), bytes)
    }
}

#[test]
fn a_driver_learns_the_disks_size_and_what_it_can_do() {
    let mut writable = writable();
    let mut read_only = machine(file(), true, 0);

    assert_eq!(writable.driver.read(8), 2);
    assert_eq!(writable.driver.read(0x100), 2048);
    assert_eq!(writable.driver.read(0x104), 0);
    assert_eq!((writable.driver.read(0x10c), writable.driver.read(0x114)), (254, 512));
    assert_eq!(writable.driver.read(0x138), 0x0100_0000 >> 24, "write_zeroes_may_unmap");
    let has = |machine: &mut Machine, bit| machine.driver.features() & bit != 0;
    assert!(!has(&mut writable, RO) && has(&mut writable, DISCARD | WRITE_ZEROES));
    assert!(has(&mut read_only, RO) && !has(&mut read_only, DISCARD | WRITE_ZEROES));
}

#[test]
fn sectors_are_read_and_written_however_the_driver_cuts_its_buffers() {
    let mut machine = writable();
    let expected = sectors(&machine.file, 7, 3);

    // The header in two, the data in three, and the status behind data in one buffer.
    let head = header(IN, 7);
    let (written, bytes) = machine.driver.ask(0, &[&head[..5], &head[5..]], &[100, 1000, 437]);

    assert_eq!(written, 1537);
    assert!(bytes[..1536] == expected && bytes[1536] == OK);

    let new: Vec<u8> = (0..1024u32).map(|at| (at * 7) as u8).collect();
    let joined = [header(OUT, 2046), new.clone()].concat();
    let (written, bytes) = machine.driver.ask(0, &[&joined[..300], &joined[300..]], &[1]);
    assert_eq!((written, bytes), (1, vec![OK]));
    assert_eq!(sectors(&machine.file, 2046, 2), new);
}

#[test]
fn a_flush_succeeds_and_the_serial_number_is_the_first_20_bytes() {
    let mut machine = writable();

    assert_eq!(machine.ask(FLUSH_NOW, 0, &[], 0), (OK, vec![]));
    assert_eq!(machine.ask(GET_ID, 0, &[], 20), (OK, b"a serial number of 2".to_vec()));
    assert_eq!(machine.ask(GET_ID, 0, &[], 8), (OK, b"a serial".to_vec()));
}

#[test]
fn discarded_sectors_give_their_room_back() {
    let mut machine = writable();
    let before = machine.file.metadata().unwrap().blocks();

    let two = [segment(512, 1024, 0), segment(0, 8, 0)].concat();
    assert_eq!(machine.ask(DISCARD_NOW, 0, &two, 0).0, OK);

    // Some file systems keep a block more, others fewer.
    assert!(machine.file.metadata().unwrap().blocks() < before - 900);
    assert_eq!(sectors(&machine.file, 512, 1024), vec![0; 512 * 1024]);
    assert_eq!(machine.file.metadata().unwrap().len(), LEN);
}

#[test]
fn zeroes_are_written_where_they_belong() {
    for flags in [0, 1] {
        let mut machine = writable();
        let before = [sectors(&machine.file, 0, 3), sectors(&machine.file, 9, 100)];

        assert_eq!(machine.ask(WRITE_ZEROES_NOW, 0, &segment(3, 6, flags), 0).0, OK);

        assert_eq!(sectors(&machine.file, 3, 6), vec![0; 6 * 512]);
        assert_eq!([sectors(&machine.file, 0, 3), sectors(&machine.file, 9, 100)], before);
    }
}

#[test]
fn nothing_is_done_outside_of_the_disk() {
    let mut machine = writable();
    let before = sectors(&machine.file, 0, 2048);
    let block = [0x55; 1024];

    for sector in [2047, 2048, 1 << 54, (1 << 55) - 1, u64::MAX, u64::MAX / 512] {
        assert_eq!(machine.ask(OUT, sector, &block, 0).0, IO_ERROR, "{sector:#x}");
        assert_eq!(machine.ask(IN, sector, &[], 1024).0, IO_ERROR, "{sector:#x}");
        for kind in [DISCARD_NOW, WRITE_ZEROES_NOW] {
            // The first one is good; nothing is done all the same.
            let two = [segment(0, 8, 0), segment(sector, 2, 0)].concat();
            assert_eq!(machine.ask(kind, 0, &two, 0).0, IO_ERROR, "{sector:#x}");
        }
    }

    assert!(sectors(&machine.file, 0, 2048) == before);
    assert_eq!(machine.file.metadata().unwrap().len(), LEN);
    assert!(machine.failures.lock().unwrap().is_empty(), "the guest's fault is not the user's");
}

#[test]
fn requests_that_make_no_sense_fail_and_the_next_is_served() {
    let mut machine = writable();
    let many = segment(0, 1, 0).repeat(65);

    for (kind, data, room, expected) in [
        (IN, &[][..], 511, IO_ERROR),
        (OUT, &[0; 513], 0, IO_ERROR),
        (DISCARD_NOW, &[], 0, IO_ERROR),
        (DISCARD_NOW, &[0; 15], 0, IO_ERROR),
        (DISCARD_NOW, &many, 0, IO_ERROR),
        (DISCARD_NOW, &segment(0, 8, 1), 0, UNSUPPORTED),
        (DISCARD_NOW, &segment(0, 8, 2), 0, UNSUPPORTED),
        (WRITE_ZEROES_NOW, &segment(0, MOST_ZEROED + 1, 0), 0, IO_ERROR),
        (WRITE_ZEROES_NOW, &segment(0, 8, 0x8000_0000), 0, UNSUPPORTED),
        (2, &[], 0, UNSUPPORTED),
        (u32::MAX, &[], 0, UNSUPPORTED),
        (IN, &[], 0, OK),
        (OUT, &[], 0, OK),
    ] {
        assert_eq!(machine.ask(kind, 0, data, room).0, expected, "{kind} {data:?} {room}");
    }
    // A header that ends early.
    assert_eq!(machine.driver.ask(0, &[&[0; 15]], &[512, 1]).1[512], IO_ERROR);
    assert_eq!(machine.driver.ask(0, &[], &[512, 1]).1[512], IO_ERROR);
    assert_eq!(machine.ask(IN, 0, &[], 512), (OK, sectors(&machine.file, 0, 1)));
}

#[test]
fn a_read_only_disk_is_not_written() {
    let mut machine = machine(file(), true, 0);
    let before = sectors(&machine.file, 0, 2048);

    for (kind, data) in [
        (OUT, &[0x55; 512][..]),
        (DISCARD_NOW, &segment(0, 8, 0)),
        (WRITE_ZEROES_NOW, &segment(0, 8, 0)),
    ] {
        assert_eq!(machine.ask(kind, 0, data, 0).0, IO_ERROR);
    }

    assert!(sectors(&machine.file, 0, 2048) == before);
    assert_eq!(machine.ask(FLUSH_NOW, 0, &[], 0).0, OK);
}

#[test]
fn a_request_without_room_for_a_status_stops_the_device_until_it_is_reset() {
    const NEEDS_RESET: u32 = 64;
    let mut machine = writable();

    // The byte where the status belongs is the device's to read, not to write.
    machine.driver.put(0, &[&header(IN, 0), &[0]], &[]);
    machine.driver.notify(0);
    assert_eq!(machine.driver.interrupt(), 2);

    assert_eq!(machine.driver.read(0x070), 15 | NEEDS_RESET);
    assert_eq!(
        *machine.driver.reports.lock().unwrap(),
        ["device: a request has no room for its status; it does no more until the guest resets it"]
    );
    machine.driver.begin(FLUSH, 1);
    assert_eq!(machine.ask(IN, 0, &[], 512), (OK, sectors(&machine.file, 0, 1)));
}

#[test]
fn a_buffer_outside_of_ram_stops_the_device_until_it_is_reset() {
    let mut machine = writable();
    machine.driver.put(0, &[&header(IN, 0)], &[512, 1]);
    // The address of the second descriptor.
    machine.driver.memory.write_obj(u64::MAX - 511, GuestAddress(16)).unwrap();

    machine.driver.notify(0);

    assert_eq!(machine.driver.interrupt(), 2);
    assert_eq!(machine.driver.read(0x070) & 64, 64);
}

#[test]
fn chains_that_loop_or_lead_out_of_the_queue_end() {
    for next in [0u16, 1, 15, 16, u16::MAX] {
        let mut machine = writable();
        machine.driver.put(0, &[&header(IN, 0)], &[1]);
        // The second descriptor has a next one, which is none, itself, or the first.
        machine
            .driver
            .memory
            .write_obj([3, 0, next as u8, (next >> 8) as u8], GuestAddress(28))
            .unwrap();

        machine.driver.notify(0);

        // Which of them fails is not the point: the device says something and lives.
        machine.driver.interrupt();
        machine.driver.begin(FLUSH, 1);
        assert_eq!(machine.ask(IN, 0, &[], 512).0, OK);
    }
}

#[test]
fn an_indirect_table_is_followed_and_one_in_another_is_not() {
    const INDIRECT: u16 = 4;
    let table = GuestAddress(8 << 20);
    let mut machine = writable();
    let expected = sectors(&machine.file, 5, 8);
    machine.driver.memory.write_slice(&header(IN, 5), GuestAddress(9 << 20)).unwrap();
    let entry = |address: u64, len: u32, flags: u16, next: u16| {
        [&address.to_le_bytes()[..], &len.to_le_bytes(), &flags.to_le_bytes(), &next.to_le_bytes()]
            .concat()
    };
    let mut ask = |entries: &[Vec<u8>]| {
        machine.driver.memory.write_slice(&entries.concat(), table).unwrap();
        let one = entry(table.0, 16 * entries.len() as u32, INDIRECT, 0);
        machine.driver.memory.write_slice(&one, GuestAddress(0)).unwrap();
        machine.driver.make_available(0, 0);
        machine.driver.notify(0);
        machine.driver.interrupt();
        machine.driver.read(0x070) & 64 != 0
    };

    assert!(!ask(&[
        entry(9 << 20, 16, 1, 1),
        entry(10 << 20, 4096, 3, 2),
        entry(11 << 20, 1, 2, 0)
    ]));
    let nested = ask(&[entry(9 << 20, 16, 1, 1), entry(table.0, 32, INDIRECT | 1, 0)]);

    assert!(nested, "without a status it needs a reset");
    let mut bytes = vec![0; 4096];
    machine.driver.memory.read_slice(&mut bytes, GuestAddress(10 << 20)).unwrap();
    assert!(bytes == expected);
}

#[test]
fn a_file_that_became_shorter_is_an_error_to_the_guest_and_told_the_user_once() {
    let mut machine = writable();
    machine.file.set_len(LEN / 2).unwrap();

    for _ in 0..2 {
        assert_eq!(machine.ask(IN, 1500, &[], 512).0, IO_ERROR);
    }

    assert_eq!(machine.ask(IN, 0, &[], 512).0, OK);
    let failures = machine.failures.lock().unwrap();
    assert_eq!(failures.len(), 1);
    assert!(failures[0].starts_with("read at sector 0x5dc: "), "{failures:?}");
}

#[test]
fn files_that_cannot_be_a_disk_say_why() {
    let sized = |len| {
        let file = file();
        file.set_len(len).unwrap();
        Disk::new(file, false).err().map(|error| error.to_string())
    };

    assert_eq!(sized(0).as_deref(), Some("is empty"));
    let uneven = "1000 bytes, expected a multiple of 512 (truncate -s %512 makes it one)";
    assert_eq!(sized(1000).as_deref(), Some(uneven));
    assert_eq!(sized(512), None);
}
