pub(crate) mod driver;
mod worker;

use driver::Driver;

use super::rng::{Rng, Source};
use crate::bus::Device;

const VERSION_1: u64 = 1 << 32;

fn entropy() -> Driver {
    Driver::new(Rng, Source::open().unwrap())
}

#[test]
fn a_driver_finds_the_device() {
    let mut driver = entropy();

    assert_eq!(driver.read(0), u32::from_le_bytes(*b"virt"));
    assert_eq!((driver.read(4), driver.read(8)), (2, 4));
    assert_eq!(driver.features(), VERSION_1 | 1 << 29 | 1 << 28);
    assert_eq!(driver.read(0x034), 64);
    driver.write(0x030, 1);
    assert_eq!(driver.read(0x034), 0, "there is no such queue");
}

#[test]
fn a_request_is_answered_and_told_of() {
    let mut driver = entropy();
    driver.begin(0, 1);

    let (written, bytes) = driver.ask(0, &[], &[64, 32]);

    assert_eq!(written, 96);
    assert_ne!(bytes, [0; 96]);
    let (_, other) = driver.ask(0, &[], &[96]);
    assert_ne!(bytes, other);
}

#[test]
fn features_that_are_not_offered_are_not_agreed_to_nor_is_a_driver_of_old() {
    let mut driver = entropy();

    assert!(driver.accept(VERSION_1));
    assert!(!driver.accept(VERSION_1 | 1 << 35));
    assert!(!driver.accept(0));
    // It starts all the same: nothing happens.
    driver.set_queues(1, 16);
    driver.write(0x070, 15);
    assert_eq!(driver.read(0x070), 7);
    assert!(driver.reports.lock().unwrap().is_empty());
}

#[test]
fn after_a_reset_another_driver_begins() {
    let mut driver = entropy();
    for size in [16, 48] {
        driver.begin(0, 1);
        assert_eq!(driver.ask(0, &[], &[size]).0, size);
        driver.write(0x070, 0);
        assert_eq!((driver.read(0x070), driver.read(0x044), driver.read(0x060)), (0, 0, 0));
    }
}

#[test]
fn a_queue_that_makes_no_sense_stops_the_device_until_it_is_reset() {
    const NEEDS_RESET: u32 = 64;
    let mut driver = entropy();
    driver.begin(0, 1);
    // More requests than the queue has room for.
    for _ in 0..40 {
        driver.make_available(0, 0);
    }
    driver.notify(0);
    // It may have served some when there were fewer.
    while driver.interrupt() & 2 == 0 {}
    assert_eq!(driver.read(0x070), 15 | NEEDS_RESET);
    assert_eq!(driver.reports.lock().unwrap().len(), 1);

    assert!(driver.accept(VERSION_1));
    driver.set_queues(1, 16);
    // Beyond memory.
    driver.write(0x044, 0);
    driver.write(0x084, 1);
    driver.write(0x044, 1);
    driver.write(0x070, 15);
    assert_eq!(driver.read(0x070), 15 | NEEDS_RESET);

    driver.begin(0, 1);
    assert_eq!(driver.ask(0, &[], &[8]).0, 8);
}

#[test]
fn a_guest_that_breaks_its_device_again_and_again_is_told_of_a_few_times() {
    let mut driver = entropy();

    for _ in 0..100 {
        assert!(driver.accept(VERSION_1));
        driver.set_queues(1, 16);
        driver.write(0x044, 0);
        // Beyond memory.
        driver.write(0x084, 1);
        driver.write(0x044, 1);
        driver.write(0x070, 15);
    }

    let reports = driver.reports.lock().unwrap();
    assert_eq!(reports.len(), 8);
    assert!(reports.last().unwrap().ends_with("(more is not told)"));
}

#[test]
fn registers_are_words() {
    let mut driver = entropy();

    for len in [1, 2, 8] {
        let mut data = vec![0; len];
        assert!(driver.device.read(0, &mut data).is_err());
        assert!(driver.device.write(0x070, &data).is_err());
    }
    assert!(driver.device.read(0x040, &mut [0; 4]).is_err());
    assert!(driver.device.write(0x0fc, &[0; 4]).is_err());
    let mut byte = [0xff];
    assert!(driver.device.read(0x1ff, &mut byte).is_ok());
    assert_eq!(byte, [0], "there is no configuration");
    assert!(driver.device.write(0x100, &[0]).is_err());
}
