use super::fault::{LAST_REPORT, MAX_REPORTS};
use super::*;

const BASE: u64 = 0x900_0000;
const SIZE: u64 = 0x1000;

/// Remembers the last write, reads as 0x11 and refuses offset 0x800.
#[derive(Default)]
struct Probe {
    written: Option<(u64, Vec<u8>)>,
    reads: usize,
}

impl Device for Probe {
    fn read(&mut self, offset: u64, data: &mut [u8]) -> Result<(), Refused> {
        self.reads += 1;
        data.fill(0x11);
        if offset == 0x800 {
            return Err(Refused("reserved"));
        }
        Ok(())
    }

    fn write(&mut self, offset: u64, data: &[u8]) -> Result<(), Refused> {
        if offset == 0x800 {
            return Err(Refused("reserved"));
        }
        self.written = Some((offset, data.to_vec()));
        Ok(())
    }
}

type Reports = Arc<Mutex<Vec<Fault>>>;

fn bus() -> (Bus, Reports) {
    let reports = Reports::default();
    let log = reports.clone();
    let bus = Bus::new(Box::new(move |fault| log.lock().unwrap().push(*fault)));
    (bus, reports)
}

fn bus_with_probe() -> (Bus, Arc<Mutex<Probe>>, Reports) {
    let (mut bus, reports) = bus();
    let probe = Arc::new(Mutex::new(Probe::default()));
    bus.insert(range(BASE, SIZE), "probe", probe.clone()).unwrap();
    (bus, probe, reports)
}

fn range(base: u64, size: u64) -> Range {
    Range::new(base, size).unwrap()
}

fn lines(reports: &Reports) -> Vec<String> {
    let reports = reports.lock().unwrap();
    reports.iter().map(Fault::to_string).collect()
}

#[test]
fn a_device_sees_offsets() {
    let (bus, probe, reports) = bus_with_probe();
    let mut data = [0; 2];

    bus.write(BASE + 0x30, &[0x01, 0x03]);
    bus.read(BASE + 0xffe, &mut data);

    assert_eq!(probe.lock().unwrap().written, Some((0x30, vec![0x01, 0x03])));
    assert_eq!(data, [0x11, 0x11]);
    assert!(lines(&reports).is_empty());
}

#[test]
fn each_address_reaches_its_own_device() {
    let (mut bus, _) = bus();
    let probes: Vec<_> = (0..3).map(|_| Arc::new(Mutex::new(Probe::default()))).collect();
    for index in [1, 2, 0] {
        let place = range(BASE + index * 0x1000, 0x1000);
        bus.insert(place, "probe", probes[index as usize].clone()).unwrap();
    }

    for index in 0..3 {
        bus.write(BASE + index * 0x1000 + 0x10 * index, &[index as u8]);
    }

    for index in 0..3u64 {
        let written = probes[index as usize].lock().unwrap().written.clone();
        assert_eq!(written, Some((0x10 * index, vec![index as u8])));
    }
}

#[test]
fn an_overlap_is_refused_and_names_both() {
    let (mut bus, probe, _) = bus_with_probe();

    let error = bus.insert(range(BASE + 0xfff, 0x10), "rtc", probe);

    assert_eq!(
        error.unwrap_err().to_string(),
        "rtc at 0x9000fff..=0x900100e overlaps probe at 0x9000000..=0x9000fff"
    );
}

#[test]
fn nobody_reads_as_ones_and_takes_writes() {
    let (bus, _, reports) = bus_with_probe();
    let mut data = [0; 8];

    bus.read(BASE + SIZE, &mut data);
    bus.write(0x0, &[0; 4]);

    assert_eq!(data, [0xff; 8]);
    assert_eq!(
        lines(&reports),
        [
            "8-byte guest read at 0x9001000: no device there; reads as ones",
            "4-byte guest write at 0x0: no device there; ignored",
        ]
    );
}

#[test]
fn what_a_device_refuses_reads_as_ones() {
    let (bus, _, reports) = bus_with_probe();
    let mut data = [0; 4];

    bus.read(BASE + 0x800, &mut data);
    bus.write(BASE + 0x800, &[0; 4]);

    assert_eq!(data, [0xff; 4]);
    assert_eq!(
        lines(&reports),
        [
            "4-byte guest read at 0x9000800: probe: reserved; reads as ones",
            "4-byte guest write at 0x9000800: probe: reserved; ignored",
        ]
    );
}

#[test]
fn an_access_over_the_end_of_a_device_does_not_reach_it() {
    let (bus, probe, reports) = bus_with_probe();
    let mut data = [0; 4];

    bus.read(BASE + SIZE - 2, &mut data);
    bus.write(BASE + SIZE - 2, &[0; 4]);

    assert_eq!(data, [0xff; 4]);
    assert_eq!(probe.lock().unwrap().reads, 0);
    assert_eq!(probe.lock().unwrap().written, None);
    assert_eq!(
        lines(&reports)[0],
        "4-byte guest read at 0x9000ffe: probe: access runs over the end of the device; reads as ones"
    );
}

#[test]
fn the_last_addresses_are_survived() {
    let (mut bus, reports) = bus();
    let probe = Arc::new(Mutex::new(Probe::default()));
    bus.insert(range(u64::MAX - 0xfff, 0x1000), "top", probe.clone()).unwrap();
    let mut data = [0; 8];

    bus.read(u64::MAX, &mut data);
    bus.write(u64::MAX, &[0x55]);

    assert_eq!(data, [0xff; 8]);
    assert_eq!(probe.lock().unwrap().written, Some((0xfff, vec![0x55])));
    assert_eq!(lines(&reports).len(), 1);
}

#[test]
fn a_fault_is_reported_once_for_a_page_and_direction() {
    let (bus, _, reports) = bus_with_probe();

    for ipa in [0x6000, 0x6000, 0x6ffc, 0x7000] {
        bus.read(ipa, &mut [0; 4]);
        bus.write(ipa, &[0; 4]);
    }

    let reported: Vec<_> =
        reports.lock().unwrap().iter().map(|fault| (fault.ipa, fault.write)).collect();
    assert_eq!(reported, [(0x6000, false), (0x6000, true), (0x7000, false), (0x7000, true)]);
}

#[test]
fn a_fault_is_reported_once_for_a_device_and_direction() {
    let (mut bus, probe, reports) = bus_with_probe();
    // Of the same name: it counts for itself.
    bus.insert(range(BASE + SIZE, SIZE), "probe", probe).unwrap();

    for _ in 0..3 {
        bus.read(BASE + 0x800, &mut [0; 4]);
        bus.read(BASE + SIZE + 0x800, &mut [0; 4]);
    }

    assert_eq!(lines(&reports).len(), 2);
}

#[test]
fn a_guest_that_touches_every_page_gets_a_bounded_report() {
    let (bus, _, reports) = bus_with_probe();

    for page in 0..10 * MAX_REPORTS as u64 {
        bus.read(page << 12, &mut [0; 4]);
    }

    let reports = reports.lock().unwrap();
    assert_eq!(reports.len(), MAX_REPORTS + 1);
    assert_eq!(reports[MAX_REPORTS - 1].reason, "no device there");
    assert_eq!(reports[MAX_REPORTS].reason, LAST_REPORT);
}

#[test]
fn a_device_whose_thread_panicked_still_answers() {
    let (bus, probe, reports) = bus_with_probe();
    let mut data = [0; 4];
    let poisoner = probe.clone();
    let panicked = std::thread::spawn(move || {
        let _device = poisoner.lock().unwrap();
        panic!("expected: poisons the device");
    });
    assert!(panicked.join().is_err());
    assert!(probe.is_poisoned());

    bus.read(BASE, &mut data);

    assert_eq!(data, [0x11; 4]);
    assert!(lines(&reports).is_empty());
}

#[test]
fn vcpu_threads_can_share_it() {
    fn shared<T: Send + Sync>() {}
    shared::<Arc<Bus>>();
}
