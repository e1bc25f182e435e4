use super::*;
use crate::irq::fake::FakeLine;

const LINE: u8 = 3;
const BIT: u8 = 1 << LINE;

fn read(gpio: &mut Pl061, offset: u64) -> u8 {
    let mut data = [0xff];
    gpio.read(offset, &mut data).unwrap();
    data[0]
}

fn write(gpio: &mut Pl061, offset: u64, value: u8) {
    gpio.write(offset, &[value]).unwrap();
}

#[test]
fn both_edges_interrupt_until_they_are_cleared_as_gpio_keys_wants_it() {
    let irq = FakeLine::default();
    let mut gpio = Pl061::new(Box::new(irq.clone()));
    assert!(!gpio.is_awaited(LINE));
    write(&mut gpio, register::IBE, BIT);
    write(&mut gpio, register::IE, BIT);
    assert!(gpio.is_awaited(LINE));

    for is_high in [true, false] {
        gpio.set_input(LINE, is_high);
        assert!(irq.is_high());
        assert_eq!(read(&mut gpio, register::MIS), BIT);
        // GPIODATA at its mask.
        assert_eq!(read(&mut gpio, u64::from(BIT) << 2), if is_high { BIT } else { 0 });
        write(&mut gpio, register::IC, BIT);
        assert!(!irq.is_high());
    }
    assert_eq!(irq.history(), [true, false, true, false]);
}

#[test]
fn one_edge_is_the_one_that_was_asked_for() {
    for (event, expected) in [(BIT, [BIT, 0]), (0, [0, BIT])] {
        let mut gpio = Pl061::new(Box::new(FakeLine::default()));
        write(&mut gpio, register::IEV, event);

        let seen = [true, false].map(|is_high| {
            gpio.set_input(LINE, is_high);
            let seen = read(&mut gpio, register::RIS);
            write(&mut gpio, register::IC, BIT);
            seen
        });

        assert_eq!(seen, expected);
    }
}

#[test]
fn a_level_interrupts_as_long_as_it_is_there() {
    let irq = FakeLine::default();
    let mut gpio = Pl061::new(Box::new(irq.clone()));
    write(&mut gpio, register::IEV, BIT);
    write(&mut gpio, register::IS, BIT);
    write(&mut gpio, register::IE, BIT);

    gpio.set_input(LINE, true);
    write(&mut gpio, register::IC, BIT);
    assert!(irq.is_high());

    gpio.set_input(LINE, false);
    assert!(!irq.is_high());
}

#[test]
fn lines_that_the_guest_drives_read_as_it_drives_them() {
    let mut gpio = Pl061::new(Box::new(FakeLine::default()));
    write(&mut gpio, register::DIR, BIT);
    write(&mut gpio, 0x3fc, 0xff);
    gpio.set_input(4, true);

    assert_eq!(read(&mut gpio, 0x3fc), BIT | 1 << 4);
    // The others are masked, for reads and for writes.
    assert_eq!(read(&mut gpio, u64::from(BIT) << 2), BIT);
    write(&mut gpio, 1 << 2, 0);
    assert_eq!(read(&mut gpio, u64::from(BIT) << 2), BIT);
}

#[test]
fn it_is_known_as_a_pl061() {
    let mut gpio = Pl061::new(Box::new(FakeLine::default()));

    let ids: Vec<u8> = (0..8).map(|n| read(&mut gpio, 0xfe0 + 4 * n)).collect();

    assert_eq!(ids, IDS);
}

#[test]
fn no_access_is_too_strange() {
    let mut gpio = Pl061::new(Box::new(FakeLine::default()));

    for offset in (0..0x1004).chain([u64::MAX - 3, u64::MAX]) {
        for size in [1, 2, 4, 8] {
            let mut data = vec![0xff; size];
            let read = gpio.read(offset, &mut data);
            let written = gpio.write(offset, &data);
            assert!(offset % 4 == 0 && size <= 4 || read.is_err() && written.is_err());
        }
    }
    for line in 0..=u8::MAX {
        gpio.set_input(line, true);
        gpio.is_awaited(line);
    }
}
