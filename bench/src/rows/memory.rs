//! Guest memory read by a debugger.

use std::fs;

use crate::client::{Debugger, decode};
use crate::process;
use crate::rows::stepping::in_rounds;
use crate::stage::Stage;
use crate::table::{Must, Row, Series};
use crate::vmm::{Vmm, compare};

/// Where in the guest, which is padded with a kernel's text, and how much.
const ADDR: u64 = 0x4010_0000;
const OFFSET: usize = 0x8_0000;
const LEN: usize = 4 << 20;

/// CPU time of the whole VMM for each MB: minivmm by `x` and 64 KiB at a time, QEMU by `m` and as much as goes into a packet.
pub fn read(stage: &Stage) -> Vec<Row> {
    let expected = fs::read(stage.guest("bench_rounds", OFFSET + LEN, &[])).expect("the guest");
    let expected = &expected[OFFSET..];
    vec![compare(stage, "us", Must::Ratio(0.05), |vmm| {
        let mut debugger = in_rounds(stage, vmm, OFFSET + LEN);
        Series::measure(|| {
            let pid = debugger.vmm.pid();
            let before = process::cpu_time(pid, |_| true);
            let data = all(&mut debugger, vmm);
            let time = process::cpu_time(pid, |_| true) - before;
            assert!(data == expected, "what was read is not what is there");
            time as f64 / 1e3 / (LEN as f64 / 1e6)
        })
    })]
}

fn all(debugger: &mut Debugger, vmm: Vmm) -> Vec<u8> {
    let mut data = Vec::with_capacity(LEN);
    while data.len() < LEN {
        let (addr, rest) = (ADDR + data.len() as u64, LEN - data.len());
        match vmm {
            Vmm::Minivmm => {
                let reply = debugger.ask(&format!("x{addr:x},{:x}", rest.min(0x10000)));
                assert_eq!(reply.first(), Some(&b'b'), "x: {}", reply.escape_ascii());
                data.extend(&decode(&reply)[1..]);
            }
            Vmm::Qemu => {
                // Two digits a byte, `$`, `#` and the checksum.
                let most = debugger.packet_size / 2 - 2;
                let reply = decode(&debugger.ask(&format!("m{addr:x},{:x}", rest.min(most))));
                let digits = std::str::from_utf8(&reply).expect("digits");
                let byte = |n| u8::from_str_radix(&digits[n..n + 2], 16).expect("digits");
                data.extend((0..digits.len()).step_by(2).map(byte));
            }
        }
    }
    data
}
