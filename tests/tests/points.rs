//! Breakpoints in numbers, hardware ones, and what the debugger reads and writes around them.

use std::time::Instant;

use tests::rsp::Stop;
use tests::{Minivmm, Rsp, bare_guest, bare_symbol};

/// Where guests are loaded.
const LOAD_ADDRESS: u64 = 0x40080000;

/// A bare-metal guest that waits at its first instruction.
fn debug(guest: &str) -> (Minivmm, Rsp) {
    let port = Minivmm::free_port();
    let minivmm = Minivmm::start_bare(guest, &["--gdb", &port.to_string()]);
    minivmm.stderr.expect("gdb: ");
    (minivmm, Rsp::connect(port))
}

/// The guest `many`, its text and where that is.
fn text_of_many() -> (Vec<u8>, u64) {
    let image = std::fs::read(bare_guest("many")).expect("the guest");
    let [text, end] = ["text", "text_end"].map(|symbol| bare_symbol("many", symbol));
    let range = [text, end].map(|addr| usize::try_from(addr - LOAD_ADDRESS).expect("a position"));
    (image[range[0]..range[1]].to_vec(), text)
}

/// What the guest `many` computes: see there.
fn checksum(text: &[u8]) -> u64 {
    let words = text.chunks_exact(4).map(|word| u32::from_le_bytes(word.try_into().expect("4")));
    words.fold(0, |sum: u64, word| (sum ^ u64::from(word)).rotate_left(5))
}

/// Sends packets whose replies must be OK, many at a time.
fn order_all(rsp: &mut Rsp, packets: impl Iterator<Item = String>) {
    // So few that neither side's socket buffer fills up with nobody reading.
    let packets: Vec<_> = packets.collect();
    for chunk in packets.chunks(500) {
        for packet in chunk {
            rsp.send(packet);
        }
        for packet in chunk {
            assert_eq!(rsp.receive(), "OK", "{packet}");
        }
    }
}

/// Fails if this is no hit of a breakpoint at `addr`, of this kind: `swbreak` or `hwbreak`.
#[track_caller]
fn assert_hit(stop: &Stop, kind: &str, addr: u64) {
    assert_eq!((stop.field(kind), stop.pc()), (Some(""), addr), "{}", stop.text);
}

#[test]
fn ten_thousand_software_breakpoints_are_set_hit_and_removed() {
    const COUNT: u64 = 10_000;
    let (text, start) = text_of_many();
    let (minivmm, mut rsp) = debug("many");
    let ready = bare_symbol("many", "ready");
    let at = |number: u64| start + 4 * number;
    rsp.order(&format!("Z0,{ready:x},4"));
    rsp.resume("vCont;c");
    rsp.order(&format!("z0,{ready:x},4"));

    let began = Instant::now();
    order_all(&mut rsp, (0..COUNT).map(|number| format!("Z0,{:x},4", at(number))));
    eprintln!("{COUNT} set in {:?}", began.elapsed());

    // No BRK is to be seen.
    let read: Vec<_> =
        (0..text.len()).step_by(1000).flat_map(|n| rsp.read(start + n as u64, 1000)).collect();
    assert!(read == text, "the guest's text as read is not what was loaded");

    // One after the other at first; then each time many are removed, and the next that is left is hit.
    let began = Instant::now();
    let samples = (0..10).chain((10..COUNT).step_by(450)).chain([COUNT - 2, COUNT - 1]);
    let mut removed = 0;
    for number in samples {
        let passed = removed..number;
        removed = number;
        order_all(&mut rsp, passed.map(|number| format!("z0,{:x},4", at(number))));
        assert_hit(&rsp.resume("vCont;c"), "swbreak", at(number));
        assert_eq!(rsp.register(6), number, "instructions executed");
    }
    rsp.order(&format!("z0,{:x},4", at(COUNT - 1)));
    eprintln!("hit and removed in {:?}", began.elapsed());
    assert_eq!(rsp.ask("vCont;c"), "W00;process:1");

    // The text is what it was, by the guest's own account.
    let sum = checksum(&text);
    assert_eq!(minivmm.finish().console, format!("{sum:016x}\n{COUNT:016x}\n{sum:016x}\n"));
}

#[test]
fn a_debugger_that_leaves_takes_its_breakpoints_along() {
    let (text, start) = text_of_many();
    let (minivmm, mut rsp) = debug("many");
    let ready = bare_symbol("many", "ready");
    rsp.order(&format!("Z0,{ready:x},4"));
    rsp.resume("vCont;c");
    let planted = (start..).step_by(40).take(1000);
    order_all(&mut rsp, planted.map(|addr| format!("Z0,{addr:x},4")));
    rsp.order(&format!("Z1,{:x},4", start + 4));
    rsp.order(&format!("Z0,{:x},4", 0xffffffff00000000_u64));

    rsp.order("D");

    let sum = checksum(&text);
    assert_eq!(minivmm.finish().console, format!("{sum:016x}\n{:016x}\n{sum:016x}\n", 10_000));
}

#[test]
fn as_many_hardware_breakpoints_as_kvm_has_work_and_the_error_past_them_says_how_many() {
    let (minivmm, mut rsp) = debug("many");
    let start = bare_symbol("many", "text");
    let at = |number: u64| start + 8 * number;

    let mut have = 0;
    let refusal = loop {
        match rsp.ask(&format!("Z1,{:x},4", at(have))).as_str() {
            "OK" => have += 1,
            refusal => break refusal.to_owned(),
        }
    };
    // The architecture has 2 to 16 (Arm ARM, ID_AA64DFR0_EL1.BRPs).
    assert!((2..=16).contains(&have), "{have}");
    assert_eq!(refusal, format!("E.all {have} hardware breakpoints are in use"));
    // One that is set already needs no room.
    rsp.order(&format!("Z1,{:x},4", at(0)));

    for number in 0..have {
        assert_hit(&rsp.resume("vCont;c"), "hwbreak", at(number));
        assert_eq!(rsp.register(6), 2 * number, "instructions executed");
        assert_eq!(rsp.resume("vCont;s").pc(), at(number) + 4);
    }

    // Room for one, and for no more.
    rsp.order(&format!("z1,{:x},4", at(1)));
    rsp.order(&format!("Z1,{:x},4", at(have)));
    assert_eq!(rsp.ask(&format!("Z1,{:x},4", at(have + 1))), refusal);
    assert_hit(&rsp.resume("vCont;c"), "hwbreak", at(have));
    order_all(&mut rsp, (0..=have).map(|number| format!("z1,{:x},4", at(number))));
    assert_eq!(rsp.ask("vCont;c"), "W00;process:1");
    let console = minivmm.finish().console;
    assert!(console.contains(&format!("\n{:016x}\n", 10_000)), "{console}");
}

#[test]
fn devices_are_neither_read_nor_written() {
    let (mut minivmm, mut rsp) = debug("keys");
    // Where the guest has seen that a character was received, and is about to take it.
    let take = bare_symbol("keys", "next") + 8;
    rsp.order(&format!("Z0,{take:x},4"));
    minivmm.send("x");
    assert_hit(&rsp.resume("vCont;c"), "swbreak", take);
    assert_eq!(minivmm.console.text(), "keys\n");

    // PL011, PL031, GIC distributor, pvpanic or virtio, and where nothing is.
    for device in [0x09000000_u64, 0x09010000, 0x08000000, 0x0a000000, 0x0b000000] {
        let refusal = format!("E.no memory at {device:#x}");
        for len in [1, 4, 8, 0x1000] {
            assert_eq!(rsp.ask(&format!("m{device:x},{len:x}")), refusal);
        }
        assert_eq!(rsp.ask(&format!("M{device:x},4:41000000")), refusal);
        assert_eq!(rsp.ask(&format!("X{device:x},1:A")), refusal);
    }
    // From behind the devices into RAM: up to what is no memory, or nothing at all.
    let ram = 0x40000000_u64;
    assert_eq!(rsp.ask(&format!("m{:x},8", ram - 4)), format!("E.no memory at {:#x}", ram - 4));
    let before = rsp.read(ram, 8);
    let across = format!("M{:x},8:4142434445464748", ram - 4);
    assert_eq!(rsp.ask(&across), format!("E.no memory at {:#x}", ram - 4));
    assert_eq!(rsp.read(ram, 8), before);

    // The character is still there, and nothing else was written.
    rsp.order(&format!("z0,{take:x},4"));
    rsp.send("vCont;c");
    minivmm.console.expect("0000000000000078\n");
    minivmm.send("\x04");
    assert_eq!(rsp.receive(), "W00;process:1");
    let console = minivmm.finish().console;
    assert_eq!(console, "keys\n0000000000000078\n0000000000000004\n");
}
