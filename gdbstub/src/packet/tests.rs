use super::*;

/// Decodes a whole stream; packets are copied out of the decoder.
fn decode(stream: &[u8]) -> Vec<String> {
    let mut decoder = Decoder::default();
    let mut events = Vec::new();
    for byte in stream {
        match decoder.push(*byte) {
            None => {}
            Some(Event::Packet(data)) => events.push(data.escape_ascii().to_string()),
            Some(other) => events.push(format!("{other:?}")),
        }
    }
    events
}

fn encoded(data: &[u8]) -> String {
    let mut out = Vec::new();
    encode(data, &mut out);
    out.into_iter().map(char::from).collect()
}

/// A frame around bytes that are sent as they are.
fn frame(raw: &[u8]) -> Vec<u8> {
    let sum = raw.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    [b"$", raw, b"#", &hex::pair(sum)].concat()
}

#[test]
fn a_packet_is_found() {
    assert_eq!(decode(b"$g#67"), ["g"]);
    assert_eq!(decode(b"$#00"), [""]);
    assert_eq!(decode(b"$z0#AA"), ["z0"]);
}

#[test]
fn acknowledgements_and_interrupts_stand_between_packets() {
    assert_eq!(decode(b"+$g#67-\x03$?#3f+"), ["Ack", "g", "Nak", "Interrupt", "?", "Ack"]);
}

#[test]
fn an_interrupt_byte_inside_a_packet_is_data() {
    assert_eq!(decode(b"$X\x03#5b"), ["X\\x03"]);
    assert_eq!(decode(b"$+-#58"), ["+-"]);
}

#[test]
fn an_interrupt_byte_in_a_checksum_is_an_interrupt() {
    assert_eq!(decode(b"$g#\x036\x037"), ["Interrupt", "Interrupt", "g"]);
}

#[test]
fn junk_between_packets_is_skipped() {
    assert_eq!(decode(b"\0\r\nGET /#67$g#67}x\xff"), ["g"]);
}

#[test]
fn a_wrong_checksum_is_reported_once_and_the_next_packet_is_found() {
    assert_eq!(decode(b"$g#68$g#67"), ["BadChecksum", "g"]);
    assert_eq!(decode(b"$g#6x$g#67"), ["BadChecksum", "g"]);
    assert_eq!(decode(b"$g#x$g#67"), ["BadChecksum", "g"]);
}

#[test]
fn a_dollar_restarts_the_packet_wherever_it_stands() {
    assert_eq!(decode(b"$m40$g#67"), ["g"]);
    assert_eq!(decode(b"$X}$g#67"), ["g"]);
    assert_eq!(decode(b"$m#$g#67"), ["g"]);
    assert_eq!(decode(b"$m#6$g#67"), ["g"]);
}

#[test]
fn escapes_are_undone_and_summed_as_sent() {
    // } ] is }, } 03 is #, } 04 is $, } 0a is *.
    assert_eq!(decode(b"$}]}\x03}\x04}\x0a#62"), ["}#$*"]);
}

#[test]
fn a_packet_cut_off_inside_an_escape_still_ends() {
    assert_eq!(decode(b"$a}#de"), ["a"]);
}

#[test]
fn a_packet_of_packet_size_fits_and_one_more_byte_does_not() {
    let fits = frame(&vec![b'a'; PACKET_SIZE]);
    let long = frame(&vec![b'a'; PACKET_SIZE + 1]);

    assert_eq!(decode(&fits)[0].len(), PACKET_SIZE);
    assert_eq!(decode(&[&long[..], b"$g#67"].concat()), ["TooLong", "g"]);
}

#[test]
fn escapes_count_as_sent() {
    let long = frame(&b"}]".repeat(PACKET_SIZE / 2 + 1));

    assert_eq!(decode(&long), ["TooLong"]);
}

#[test]
fn memory_stays_bounded_without_an_end_in_sight() {
    let mut decoder = Decoder::default();
    decoder.push(b'$');
    for _ in 0..10 * PACKET_SIZE {
        assert_eq!(decoder.push(b'a'), None);
    }
    assert!(decoder.data.capacity() <= 2 * PACKET_SIZE, "{}", decoder.data.capacity());
}

#[test]
fn replies_are_framed() {
    assert_eq!(encoded(b""), "$#00");
    assert_eq!(encoded(b"OK"), "$OK#9a");
}

#[test]
fn what_framing_uses_is_escaped() {
    assert_eq!(encoded(b"#$}*"), "$}\x03}\x04}]}\n#62");
}

#[test]
fn runs_of_four_and_more_are_shortened() {
    assert_eq!(encoded(b"000"), "$000#90");
    assert_eq!(encoded(b"0000"), "$0* #7a");
    assert_eq!(encoded(b"x00000x"), "$x0*!x#6b");
}

#[test]
fn counts_that_would_read_as_framing_are_avoided() {
    // Seven and eight: the counts # and $ give way to ", which stands for five more.
    assert_eq!(encoded(b"0000000"), "$0*\"0#ac");
    assert_eq!(encoded(b"00000000"), "$0*\"00#dc");
    assert_eq!(encoded(b"000000000"), "$0*%#7f");
}

#[test]
fn a_run_ends_at_the_last_printable_count() {
    assert_eq!(encoded(&[b'0'; 98]), "$0*~#d8");
    assert_eq!(encoded(&[b'0'; 99]), "$0*~0#08");
}

#[test]
fn escaped_bytes_stay_single() {
    assert_eq!(encoded(b"}}}}"), "$}]}]}]}]#68");
}

/// Undoes [`encode`] as clients do.
fn decoded(packet: &[u8]) -> Vec<u8> {
    let (digits, body) = (&packet[packet.len() - 2..], &packet[1..packet.len() - 3]);
    let sum = body.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    assert_eq!(digits, hex::pair(sum));
    let mut data: Vec<u8> = Vec::new();
    let mut bytes = body.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'}' => data.push(bytes.next().unwrap() ^ 0x20),
            b'*' => {
                let run = usize::from(bytes.next().unwrap() - 29);
                data.extend(vec![*data.last().unwrap(); run]);
            }
            b'#' | b'$' => panic!("{} in a packet", char::from(*byte)),
            byte => data.push(*byte),
        }
    }
    data
}

#[test]
fn whatever_the_data_it_comes_out_as_it_went_in() {
    // Runs, what is escaped and what is not, at every place of a block and behind the last.
    let mut noise = 1u32;
    let mut next = || {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        noise >> 16
    };
    for len in 0..600 {
        let mut data: Vec<u8> = Vec::new();
        while data.len() < len {
            match next() % 8 {
                0 => data.extend(vec![next() as u8; (next() % 120) as usize]),
                1 => data.push(b"#$*}"[next() as usize % 4]),
                _ => data.push(next() as u8),
            }
        }
        let mut packet = Vec::new();
        encode(&data, &mut packet);
        assert_eq!(decoded(&packet), data);
    }
}
