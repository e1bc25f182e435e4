use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;

use super::*;
use crate::virtio::tests::driver::Driver;

const MAC: [u8; 6] = [0x52, 0x54, 0, 1, 2, 3];

/// A guest's driver, and what its card is connected to.
struct Setting {
    driver: Driver,
    reports: Arc<Mutex<Vec<String>>>,
    folder: PathBuf,
    listener: UnixListener,
    wire: UnixStream,
}

impl Setting {
    fn new(name: &str) -> Self {
        let folder =
            std::env::temp_dir().join(format!("minivmm-net-{}-{name}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        let path = folder.join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let shared: Shared = Arc::new(Mutex::new(Stream::connect(&path).unwrap()));
        let wire = listener.accept().unwrap().0;
        let link = Link::new(true.into());
        let front = Net::new(MAC, &*shared.lock().unwrap(), link.clone());
        let reports: Arc<Mutex<Vec<String>>> = Arc::default();
        let report = reports.clone();
        let carrier = Carrier::new(
            shared,
            link,
            Box::new(move |text| report.lock().unwrap().push(text.to_owned())),
        );
        let driver = Driver::new(front, carrier);
        Self { driver, reports, folder, listener, wire }
    }

    /// Begins, with these features.
    fn begin(mut self, features: u64) -> Self {
        self.driver.begin(features, 2);
        self
    }

    fn space(&mut self) -> [u8; 12] {
        let mut space = [0; 12];
        crate::bus::Device::read(&mut self.driver.device, 0x100, &mut space).unwrap();
        space
    }
}

impl Drop for Setting {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn framed(frame: &[u8]) -> Vec<u8> {
    [&(frame.len() as u32).to_be_bytes()[..], frame].concat()
}

fn read_frame(socket: &mut UnixStream) -> Vec<u8> {
    let mut prefix = [0; PREFIX_BYTES];
    socket.read_exact(&mut prefix).unwrap();
    let mut frame = vec![0; u32::from_be_bytes(prefix) as usize];
    socket.read_exact(&mut frame).unwrap();
    frame
}

const PREFIX_BYTES: usize = 4;

#[test]
fn the_configuration_has_the_address_a_link_and_the_largest_packet() {
    let mut setting = Setting::new("configuration");
    assert_eq!(setting.space(), [0x52, 0x54, 0, 1, 2, 3, 1, 0, 0, 0, 0, 0x80]);
}

#[test]
fn a_frame_of_the_guests_goes_out_without_its_header() {
    let Setting { driver, wire, .. } = &mut Setting::new("out").begin(0);
    let frame: Vec<u8> = (0..=255).cycle().take(1514).collect();

    assert_eq!(driver.ask(TRANSMIT, &[&[0; HEADER], &frame], &[]).0, 0);

    assert_eq!(read_frame(wire), frame);
}

#[test]
fn a_frame_for_the_guest_waits_for_room_and_has_a_header() {
    let Setting { driver, wire, .. } = &mut Setting::new("in");
    wire.write_all(&framed(b"early")).unwrap();
    driver.begin(0, 2);

    let (len, bytes) = driver.ask(RECEIVE, &[], &[1526]);

    assert_eq!(len as usize, HEADER + 5);
    assert_eq!(bytes, [&[0; NUM_BUFFERS][..], &[1, 0], b"early"].concat());
}

#[test]
fn a_long_frame_takes_several_buffers_if_the_driver_knows_how() {
    let Setting { driver, wire, .. } = &mut Setting::new("merged").begin(F_MRG_RXBUF);
    let frame = vec![7; 40];
    driver.put(RECEIVE, &[], &[32]);
    driver.make_available(RECEIVE, 0);
    driver.notify(RECEIVE);
    wire.write_all(&framed(&frame)).unwrap();

    assert_eq!((driver.answer(RECEIVE), driver.answer(RECEIVE)), (32, 20));
}

#[test]
fn without_that_knowledge_it_is_lost_and_the_next_one_comes() {
    let Setting { driver, wire, .. } = &mut Setting::new("lost").begin(0);
    wire.write_all(&[framed(&[7; 40]), framed(b"short")].concat()).unwrap();

    let (len, _) = driver.ask(RECEIVE, &[], &[32]);

    assert_eq!(len as usize, HEADER + 5);
}

#[test]
fn a_wire_that_takes_no_more_has_the_guest_wait_and_loses_nothing() {
    let Setting { driver, wire, .. } = &mut Setting::new("full").begin(0);
    let frame = vec![9; 60_000];
    // The same chain sixteen times: more than a socket holds.
    driver.put(TRANSMIT, &[&[0; HEADER], &frame], &[]);
    for _ in 1..16 {
        driver.make_available(TRANSMIT, 0);
    }
    driver.notify(TRANSMIT);

    for _ in 0..16 {
        assert_eq!(read_frame(wire), frame);
    }
    for _ in 0..16 {
        driver.answer(TRANSMIT);
    }
}

#[test]
fn a_wire_that_is_torn_or_talks_nonsense_takes_the_link_down_until_it_is_there_again() {
    for (name, nonsense) in [("end", &b""[..]), ("nonsense", &u32::MAX.to_be_bytes())] {
        let mut setting = Setting::new(name).begin(0);
        // A wire that is torn before the first driver comes is another matter.
        setting.driver.ask(TRANSMIT, &[&[0; HEADER], b"early"], &[]);
        setting.wire.write_all(nonsense).unwrap();
        setting.wire.shutdown(std::net::Shutdown::Both).unwrap();

        assert_eq!(setting.driver.interrupt(), 2);
        assert_eq!(setting.space()[6], 0);
        // What is sent is lost, and given back.
        setting.driver.ask(TRANSMIT, &[&[0; HEADER], b"lost"], &[]);

        setting.wire = setting.listener.accept().unwrap().0;
        setting.wire.write_all(&framed(b"again")).unwrap();
        let (len, _) = setting.driver.ask(RECEIVE, &[], &[100]);
        assert_eq!(len as usize, HEADER + 5);
        assert_eq!(setting.space()[6], 1);
        setting.driver.ask(TRANSMIT, &[&[0; HEADER], b"found"], &[]);
        assert_eq!(read_frame(&mut setting.wire), b"found");
        let reports = setting.reports.lock().unwrap();
        let [torn, mended] = &reports[..] else { panic!("{reports:?}") };
        assert!(torn.ends_with("; the guest's link is down until it is there again"), "{torn}");
        assert_eq!(mended, "it is there again");
    }
}

#[test]
fn a_wire_whose_frames_wait_is_torn_only_when_its_other_end_is_gone() {
    let setting = &mut Setting::new("held").begin(0);
    // More than is held.
    let frame = framed(&vec![3; 60_000]);
    for _ in 0..141 {
        setting.wire.write_all(&frame).unwrap();
    }
    // Of the same socket, and no reason to tear it.
    setting.driver.ask(TRANSMIT, &[&[0; HEADER], b"frame"], &[]);
    assert_eq!(read_frame(&mut setting.wire), b"frame");
    assert!(setting.reports.lock().unwrap().is_empty());

    setting.wire.shutdown(std::net::Shutdown::Both).unwrap();

    setting.wire = setting.listener.accept().unwrap().0;
    setting.wire.write_all(&framed(b"again")).unwrap();
    // What was held came by the other one.
    let (_, bytes) = setting.driver.ask(RECEIVE, &[], &[0xffff]);
    assert_eq!(bytes.len(), HEADER + 60_000);
    let (_, bytes) = setting.driver.ask(RECEIVE, &[], &[0xffff]);
    assert_eq!(&bytes[HEADER..], b"again");
}

#[test]
fn a_wire_outlives_its_guest_with_what_is_half_way_through() {
    let setting = &mut Setting::new("outlives").begin(0);
    let frame = framed(b"in two parts");
    setting.wire.write_all(&frame[..7]).unwrap();
    setting.driver.ask(TRANSMIT, &[&[0; HEADER], b"first"], &[]);
    setting.driver.write(0x070, 0);
    setting.driver.begin(0, 2);

    setting.wire.write_all(&frame[7..]).unwrap();

    let (_, bytes) = setting.driver.ask(RECEIVE, &[], &[100]);
    assert_eq!(&bytes[HEADER..], b"in two parts");
    assert_eq!(read_frame(&mut setting.wire), b"first");
}

/// Wires in memory never tell; this one notes what it is told.
struct Told(Arc<Mutex<Vec<u64>>>, UnixStream);

impl Wire for Told {
    fn features(&self) -> u64 {
        1
    }
    fn begin(&mut self, features: u64) -> io::Result<()> {
        self.0.lock().unwrap().push(features);
        Ok(())
    }
    fn fd(&self) -> RawFd {
        std::os::fd::AsRawFd::as_raw_fd(&self.1)
    }
    fn has_hung_up(&self) -> bool {
        false
    }
    fn receive(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(ErrorKind::WouldBlock.into())
    }
    fn send(&mut self, _: &[u8]) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_wire_learns_which_of_its_features_the_driver_has() {
    let told: Arc<Mutex<Vec<u64>>> = Arc::default();
    let wire = Told(told.clone(), UnixStream::pair().unwrap().0);
    let front = Net::new(MAC, &wire, Link::default());
    assert_eq!(front.features(), F_MAC | F_MRG_RXBUF | F_STATUS | 1);
    let carrier = Carrier::new(Arc::new(Mutex::new(wire)), Link::default(), Box::new(|_| {}));
    let mut driver = Driver::new(front, carrier);

    driver.begin(1, 2);

    driver.ask(TRANSMIT, &[&[0; HEADER], b"frame"], &[]);
    assert_eq!(told.lock().unwrap()[0] & 1, 1);
}

#[test]
fn requests_that_make_no_sense_are_taken_and_nothing_comes_of_them() {
    let Setting { driver, wire, .. } = &mut Setting::new("senseless").begin(0);

    // Less than a header, a header alone, and room where a frame should be.
    assert_eq!(driver.ask(TRANSMIT, &[b"short"], &[]).0, 0);
    assert_eq!(driver.ask(TRANSMIT, &[&[0; HEADER]], &[]).0, 0);
    assert_eq!(driver.ask(TRANSMIT, &[], &[100]).0, 0);
    driver.ask(TRANSMIT, &[&[0; HEADER], b"good"], &[]);

    assert_eq!(read_frame(wire), b"good");
}
