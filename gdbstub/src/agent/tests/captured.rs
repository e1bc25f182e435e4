//! What GDB 13.1 sends for expressions of C: the rest of its `Z0` packets, the expression above
//! each. They stand at the first instruction of a function of a freestanding arm64 program:
//!
//! ```c
//! struct inner { short a; char c; unsigned bits : 3; int sbits : 5; u64 next; };
//! struct mutex { int lock; int pad; u64 owner; u64 wait; u64 count; struct inner *in; };
//!
//! u8 byte;            // 0x41ffe8
//! struct inner s;     // 0x41fff0
//! int x;              // 0x420000
//! struct mutex *gm;   // 0x420008
//! u64 big;            // 0x420010
//! int arr[8];         // 0x420018
//! u64 flags;          // 0x420038
//! char *str;          // 0x420040
//! char name[16];      // 0x420048
//!
//! long work(struct mutex *m, long y, char c, u32 n);
//! ```

mod commands;
mod conditions;

use crate::agent::tests::machine::FakeMachine;
use crate::agent::{Agent, Verdict};

const X0_M: u16 = 0;
const X1_Y: u16 = 1;
const X2_C: u16 = 2;
const X3_N: u16 = 3;
const SP: u16 = 31;
const CPSR: u16 = 33;

const BYTE: u64 = 0x41ffe8;
const S_A: u64 = 0x41fff0;
const S_C: u64 = 0x41fff2;
const S_BITS: u64 = 0x41fff3;
const X: u64 = 0x420000;
const GM: u64 = 0x420008;
const BIG: u64 = 0x420010;
const ARR: u64 = 0x420018;
const FLAGS: u64 = 0x420038;
const STR: u64 = 0x420040;
const NAME: u64 = 0x420048;

fn machine() -> FakeMachine {
    FakeMachine::default()
}

fn agent(text: &str) -> Agent {
    Agent::parse(text.as_bytes()).unwrap().unwrap()
}

impl FakeMachine {
    fn with_int(self, addr: u64, value: i32) -> Self {
        self.with_memory(addr, &value.to_le_bytes())
    }

    fn with_long(self, addr: u64, value: u64) -> Self {
        self.with_memory(addr, &value.to_le_bytes())
    }
}

/// The byte with the bit fields of a `struct inner`.
fn bits(sbits: u8, bits: u8) -> u8 {
    sbits << 3 | bits
}
