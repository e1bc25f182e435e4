//! What each packet costs before and behind the guest: `cargo bench -p minivmm-gdbstub`.

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use gdbstub::agent::{Agent, Machine};
use gdbstub::{hex, packet};

/// Bytes of a large packet.
const SIZE: usize = 0x8000;

fn main() {
    divan::main();
}

/// Bytes as kernel text has them: no runs, one in 64 to be escaped.
fn text() -> Vec<u8> {
    (0..SIZE as u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

/// A reply of all general registers: small numbers, addresses and zeros.
fn registers() -> Vec<u8> {
    let values = (0..34_u64).map(|n| match n % 3 {
        0 => n,
        1 => 0xffff_8000_8012_3400 + n,
        _ => 0,
    });
    let mut digits = Vec::new();
    values.for_each(|value| hex::push_bytes(&mut digits, &value.to_le_bytes()));
    digits
}

mod packets {
    use super::{Bencher, BytesCount, SIZE, black_box, packet, registers, text};

    fn encode(bencher: Bencher, data: &[u8]) {
        let mut out = Vec::with_capacity(2 * data.len() + 8);
        bencher.counter(BytesCount::of_slice(data)).bench_local(|| {
            out.clear();
            packet::encode(black_box(data), &mut out);
        });
    }

    #[divan::bench]
    fn encode_text(bencher: Bencher) {
        encode(bencher, &text());
    }

    #[divan::bench]
    fn encode_plain(bencher: Bencher) {
        let plain: Vec<u8> = (0..SIZE).map(|n| (n % 26) as u8 + b'a').collect();
        encode(bencher, &plain);
    }

    #[divan::bench]
    fn encode_zeros(bencher: Bencher) {
        encode(bencher, &vec![0; SIZE]);
    }

    #[divan::bench]
    fn encode_registers(bencher: Bencher) {
        encode(bencher, &registers());
    }

    #[divan::bench]
    fn decode_text(bencher: Bencher) {
        let mut wire = Vec::new();
        // An `X` packet has escapes as replies have, and no runs here.
        packet::encode(&text(), &mut wire);
        let mut decoder = packet::Decoder::default();
        bencher.counter(BytesCount::of_slice(&wire)).bench_local(|| {
            black_box(&wire).iter().filter(|byte| decoder.push(**byte).is_some()).count()
        });
    }
}

mod digits {
    use super::{Bencher, BytesCount, black_box, hex, text};

    #[divan::bench]
    fn write(bencher: Bencher) {
        let bytes = text();
        let mut out = Vec::with_capacity(2 * bytes.len());
        bencher.counter(BytesCount::of_slice(&bytes)).bench_local(|| {
            out.clear();
            hex::push_bytes(&mut out, black_box(&bytes));
        });
    }

    #[divan::bench]
    fn read(bencher: Bencher) {
        let bytes = text();
        let mut digits = Vec::new();
        hex::push_bytes(&mut digits, &bytes);
        bencher
            .counter(BytesCount::of_slice(&bytes))
            .bench_local(|| hex::HexBytes::parse(black_box(&digits)).map(hex::HexBytes::decode));
    }
}

mod bytecode {
    use super::{Agent, Bencher, Machine, black_box};

    struct Still;

    impl Machine for Still {
        fn register(&mut self, number: u16) -> Option<u64> {
            Some(number.into())
        }
        fn read(&mut self, addr: u64, data: &mut [u8]) -> bool {
            data.fill(addr as u8);
            true
        }
        fn print(&mut self, _: &str) {}
    }

    /// `$x21 == 9`, as GDB sends it.
    const REGISTER: &[u8] = b";Xa,2600152400000009 13 27";

    fn condition(text: &[u8]) -> Agent {
        let packet: Vec<u8> = text.iter().copied().filter(|byte| *byte != b' ').collect();
        Agent::parse(&packet).and_then(Result::ok).unwrap_or_default()
    }

    #[divan::bench]
    fn parse() -> Agent {
        condition(black_box(REGISTER))
    }

    #[divan::bench]
    fn judge(bencher: Bencher) {
        let agent = condition(REGISTER);
        assert!(!agent.is_empty());
        bencher.bench_local(|| black_box(&agent).on_hit(&mut Still));
    }
}
