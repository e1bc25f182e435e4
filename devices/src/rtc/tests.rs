use std::time::{Duration, SystemTime};

use super::*;

const RTCDR: u64 = 0x000;
const RTCMR: u64 = 0x004;
const RTCLR: u64 = 0x008;
const RTCICR: u64 = 0x01c;

fn read(rtc: &mut Pl031, offset: u64) -> Result<u32, Refused> {
    let mut data = [0; 4];
    rtc.read(offset, &mut data)?;
    Ok(u32::from_le_bytes(data))
}

fn host_seconds() -> u32 {
    let since_1970 =
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    since_1970.as_secs() as u32
}

#[test]
fn starts_at_the_time_of_the_host() {
    let mut rtc = Pl031::new();

    let before = host_seconds();
    let time = read(&mut rtc, RTCDR).unwrap();
    let after = host_seconds();

    assert!((before..=after).contains(&time));
}

#[test]
fn goes_on_from_the_time_the_guest_sets() {
    let mut rtc = Pl031::new();

    rtc.write(RTCLR, &0x1234_5678u32.to_le_bytes()).unwrap();

    // The host's clock may tick between the two accesses.
    let time = read(&mut rtc, RTCDR).unwrap();
    assert!((0x1234_5678..0x1234_5678 + 60).contains(&time));
}

#[test]
fn is_found_by_its_identification() {
    let mut rtc = Pl031::new();

    let id: Vec<_> =
        (0xfe0..=0xffc).step_by(4).map(|offset| read(&mut rtc, offset).unwrap()).collect();

    assert_eq!(id, [0x31, 0x10, 0x04, 0x00, 0x0d, 0xf0, 0x05, 0xb1]);
}

#[test]
fn takes_aligned_words_only() {
    let mut rtc = Pl031::new();

    for width in [1, 2, 8] {
        assert_eq!(rtc.read(RTCDR, &mut vec![0; width]), Err(NOT_A_WORD));
        assert_eq!(rtc.write(RTCMR, &vec![0; width]), Err(NOT_A_WORD));
    }
    assert_eq!(rtc.read(RTCDR + 2, &mut [0; 4]), Err(NOT_A_WORD));
}

#[test]
fn refuses_the_wrong_direction_and_goes_on() {
    let mut rtc = Pl031::new();

    assert!(rtc.write(RTCDR, &[0; 4]).is_err());
    assert!(read(&mut rtc, RTCICR).is_err());

    rtc.write(RTCMR, &[0x78, 0x56, 0x34, 0x12]).unwrap();
    assert_eq!(read(&mut rtc, RTCMR), Ok(0x1234_5678));
}

#[test]
fn refuses_offsets_without_a_register() {
    let mut rtc = Pl031::new();

    for offset in [0x020, 0xfdc, 0x1000, 0x1_0000, u64::MAX - 3] {
        assert!(rtc.read(offset, &mut [0; 4]).is_err(), "{offset:#x}");
        assert!(rtc.write(offset, &[0; 4]).is_err(), "{offset:#x}");
    }
}
