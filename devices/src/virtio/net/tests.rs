use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use super::*;
use crate::virtio::tests::driver::Driver;

const MAC: [u8; 6] = [0x52, 0x54, 0, 1, 2, 3];

fn device() -> (Driver, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    (Driver::new(Net::new(MAC), Carrier::new(Stream::new(ours).unwrap())), theirs)
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
fn the_configuration_has_the_address_and_a_link() {
    let (mut driver, _wire) = device();
    let mut space = [0; 8];
    crate::bus::Device::read(&mut driver.device, 0x100, &mut space).unwrap();
    assert_eq!(space, [0x52, 0x54, 0, 1, 2, 3, 1, 0]);
}

#[test]
fn a_frame_of_the_guests_goes_out_without_its_header() {
    let (mut driver, mut wire) = device();
    driver.begin(0, 2);
    let frame: Vec<u8> = (0..=255).cycle().take(1514).collect();

    assert_eq!(driver.ask(TRANSMIT, &[&[0; HEADER], &frame], &[]).0, 0);

    assert_eq!(read_frame(&mut wire), frame);
}

#[test]
fn a_frame_for_the_guest_waits_for_room_and_has_a_header() {
    let (mut driver, mut wire) = device();
    wire.write_all(&framed(b"early")).unwrap();
    driver.begin(0, 2);

    let (len, bytes) = driver.ask(RECEIVE, &[], &[1526]);

    assert_eq!(len as usize, HEADER + 5);
    assert_eq!(bytes, [&[0; NUM_BUFFERS][..], &[1, 0], b"early"].concat());
}

#[test]
fn a_long_frame_takes_several_buffers_if_the_driver_knows_how() {
    let (mut driver, mut wire) = device();
    driver.begin(F_MRG_RXBUF, 2);
    let frame = vec![7; 40];
    driver.put(RECEIVE, &[], &[32]);
    driver.make_available(RECEIVE, 0);
    driver.notify(RECEIVE);
    wire.write_all(&framed(&frame)).unwrap();

    assert_eq!((driver.answer(RECEIVE), driver.answer(RECEIVE)), (32, 20));
}

#[test]
fn without_that_knowledge_it_is_lost_and_the_next_one_comes() {
    let (mut driver, mut wire) = device();
    driver.begin(0, 2);
    wire.write_all(&[framed(&[7; 40]), framed(b"short")].concat()).unwrap();

    let (len, _) = driver.ask(RECEIVE, &[], &[32]);

    assert_eq!(len as usize, HEADER + 5);
}

#[test]
fn a_wire_that_takes_no_more_has_the_guest_wait_and_loses_nothing() {
    let (mut driver, mut wire) = device();
    driver.begin(0, 2);
    let frame = vec![9; 60_000];
    // The same chain sixteen times: more than a socket holds.
    driver.put(TRANSMIT, &[&[0; HEADER], &frame], &[]);
    for _ in 1..16 {
        driver.make_available(TRANSMIT, 0);
    }
    driver.notify(TRANSMIT);

    for _ in 0..16 {
        assert_eq!(read_frame(&mut wire), frame);
    }
    for _ in 0..16 {
        driver.answer(TRANSMIT);
    }
}

#[test]
fn a_wire_that_is_torn_or_talks_nonsense_stops_the_device() {
    for nonsense in [&b""[..], &u32::MAX.to_be_bytes()] {
        let (mut driver, mut wire) = device();
        driver.begin(0, 2);
        wire.write_all(nonsense).unwrap();
        drop(wire);

        assert_eq!(driver.interrupt(), 2);
        let reports = driver.reports.lock().unwrap();
        assert!(reports.first().unwrap().contains("the network: "), "{reports:?}");
    }
}

#[test]
fn requests_that_make_no_sense_are_taken_and_nothing_comes_of_them() {
    let (mut driver, mut wire) = device();
    driver.begin(0, 2);

    // Less than a header, a header alone, and room where a frame should be.
    assert_eq!(driver.ask(TRANSMIT, &[b"short"], &[]).0, 0);
    assert_eq!(driver.ask(TRANSMIT, &[&[0; HEADER]], &[]).0, 0);
    assert_eq!(driver.ask(TRANSMIT, &[], &[100]).0, 0);
    driver.ask(TRANSMIT, &[&[0; HEADER], b"good"], &[]);

    assert_eq!(read_frame(&mut wire), b"good");
}
