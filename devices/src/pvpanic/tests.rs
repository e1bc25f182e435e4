use std::sync::mpsc;

use super::*;

fn device() -> (Pvpanic, mpsc::Receiver<Event>) {
    let (sender, events) = mpsc::channel();
    (Pvpanic::new(Box::new(move |event| sender.send(event).unwrap())), events)
}

#[test]
fn reads_tell_the_events_that_it_takes() {
    let (mut device, _events) = device();
    let mut byte = [0xff];

    assert_eq!(device.read(0, &mut byte), Ok(()));

    assert_eq!(byte, [0x03]);
}

#[test]
fn writes_are_events() {
    let (mut device, events) = device();

    for byte in [0x01, 0x02, 0x03, 0x04, 0x00] {
        assert_eq!(device.write(0, &[byte]), Ok(()));
    }

    let events: Vec<Event> = events.try_iter().collect();
    assert_eq!(events, [Event::Panicked, Event::CrashLoaded, Event::Panicked]);
}

#[test]
fn there_is_nothing_but_the_byte() {
    let (mut device, events) = device();

    assert_eq!(device.write(0, &[1, 0]), Err(NOT_THE_BYTE));
    assert_eq!(device.write(1, &[1]), Err(NOT_THE_BYTE));
    assert_eq!(device.read(1, &mut [0]), Err(NOT_THE_BYTE));
    assert_eq!(events.try_iter().count(), 0);
}
