//! What is known of Linux, and of nothing else (arch/arm64/include/asm/brk-imm.h, kernel/panic.c).

/// Functions that a panic comes by, the innermost first: `vpanic` is from 6.15 on.
pub const PANIC: [&str; 2] = ["vpanic", "panic"];

/// What the kernel uses a BRK with this immediate for.
pub fn brk_meaning(immediate: u16) -> Option<String> {
    let text = match immediate {
        0x004 => "kprobe",
        0x005 => "uprobe",
        0x006 => "kprobe's single-step",
        0x007 => "kretprobe",
        0x100 => "fault on purpose",
        0x3e8 => "the compiler's __builtin_trap",
        0x400 => "kgdb's breakpoint",
        0x401 => "kgdb, compiled in",
        0x402..=0x7ff => "kgdb",
        0x800 => "BUG or WARN",
        // KASAN_ESR_RECOVER is bit 5.
        0x900..=0x9ff => {
            let access = if immediate & 1 << 4 != 0 { "store" } else { "load" };
            return Some(match immediate & 0xf {
                0xf => format!("KASAN, bad {access}"),
                log2 => format!("KASAN, bad {access} of {} bytes", 1_u32 << log2),
            });
        }
        0x5500..=0x55ff => return Some(format!("UBSAN, check {}", immediate & 0xff)),
        0x8000..=0x83ff => {
            let (target, kind) = (immediate & 0x1f, immediate >> 5 & 0x1f);
            return Some(format!("CFI, target in x{target}, type in w{kind}"));
        }
        _ => return None,
    };
    Some(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn immediates_mean_what_linux_says() {
        for (immediate, text) in [
            (0x800, "BUG or WARN"),
            (0x004, "kprobe"),
            (0x400, "kgdb's breakpoint"),
            (0x913, "KASAN, bad store of 8 bytes"),
            (0x920, "KASAN, bad load of 1 bytes"),
            (0x93f, "KASAN, bad store"),
            (0x5512, "UBSAN, check 18"),
            (0x8228, "CFI, target in x8, type in w17"),
        ] {
            assert_eq!(brk_meaning(immediate).as_deref(), Some(text), "{immediate:#x}");
        }
        assert_eq!(brk_meaning(0x1234), None);
    }
}
