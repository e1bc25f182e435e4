use super::*;

/// What the assembler makes of an instruction, and what may change: registers, `f` for flags, `b` for
/// branches; `-` where that may be anything.
const INSTRUCTIONS: &[(u32, &str, &str)] = &[
    (0x9100_1483, "add x3, x4, #5", "x3"),
    (0xb100_1483, "adds x3, x4, #5", "x3 f"),
    (0x9100_43ff, "add sp, sp, #16", "sp"),
    (0xeb04_007f, "cmp x3, x4", "sp f"),
    (0xd100_407f, "sub sp, x3, #16", "sp"),
    (0x9240_1cc5, "and x5, x6, #0xff", "x5"),
    (0xf240_1cc5, "ands x5, x6, #0xff", "x5 f"),
    (0x9240_1cdf, "and sp, x6, #0xff", "sp"),
    (0xd280_0067, "movz x7, #3", "x7"),
    (0xf2a0_0067, "movk x7, #3, lsl #16", "x7"),
    (0x9000_0008, "adrp x8, .", "x8"),
    (0x1000_0009, "adr x9, .", "x9"),
    (0xb37d_0c41, "bfi x1, x2, #3, #4", "x1"),
    (0xd343_1841, "ubfx x1, x2, #3, #4", "x1"),
    (0x93c3_1041, "extr x1, x2, x3, #4", "x1"),
    (0x1400_0000, "b .", "x30 b"),
    (0x9400_0000, "bl .", "x30 b"),
    (0x5400_0000, "b.eq .", "b"),
    (0xb400_0003, "cbz x3, .", "b"),
    (0x3728_0003, "tbnz x3, #5, .", "b"),
    (0xd65f_03c0, "ret", "b"),
    (0xd61f_0060, "br x3", "-"),
    (0xd63f_0060, "blr x3", "-"),
    (0xd503_201f, "nop", ""),
    (0xd503_245f, "bti c", ""),
    (0xd503_241f, "bti", ""),
    (0xd538_4100, "mrs x0, sp_el0", "x0 f"),
    (0xd53b_4220, "mrs x0, daif", "x0 f"),
    (0xd503_42df, "msr daifset, #2", "-"),
    (0xd518_1000, "msr sctlr_el1, x0", "-"),
    (0xd400_0002, "hvc #0", "-"),
    (0xd400_0001, "svc #0", "-"),
    (0xd420_0000, "brk #0", "-"),
    (0xd69f_03e0, "eret", "-"),
    (0xd503_207f, "wfi", "-"),
    (0xd503_233f, "paciasp", "-"),
    (0xd503_23bf, "autiasp", "-"),
    (0xd503_3fdf, "isb", "-"),
    (0xaa03_0041, "orr x1, x2, x3", "x1"),
    (0xea03_0041, "ands x1, x2, x3", "x1 f"),
    (0xea23_0041, "bics x1, x2, x3", "x1 f"),
    (0x8b03_0041, "add x1, x2, x3", "x1"),
    (0xeb03_0041, "subs x1, x2, x3", "x1 f"),
    (0x8b23_4041, "add x1, x2, w3, uxtw", "x1"),
    (0x8b23_605f, "add sp, x2, x3, uxtx", "sp"),
    (0x9a03_0041, "adc x1, x2, x3", "x1 f"),
    (0xfa42_0023, "ccmp x1, x2, #3, eq", "x3 f"),
    (0x9a83_0041, "csel x1, x2, x3, eq", "x1"),
    (0x9ac3_0841, "udiv x1, x2, x3", "x1"),
    (0x9ac3_2041, "lslv x1, x2, x3", "x1"),
    (0xdac0_0041, "rbit x1, x2", "x1"),
    (0xdac1_0041, "pacia x1, x2", "x1"),
    (0x9b03_1041, "madd x1, x2, x3, x4", "x1"),
    (0x9bc3_7c41, "umulh x1, x2, x3", "x1"),
    (0x9b23_7c41, "smull x1, w2, w3", "x1"),
    (0x9ac3_4c41, "crc32x w1, w2, x3", "x1"),
    (0xbac3_0041, "subps x1, x2, x3", "x1 f"),
    (0xba01_8424, "rmif x1, #3, #4", "x4 f"),
    (0x3a00_082d, "setf8 w1", "x13 f"),
    (0x9adf_1041, "irg x1, x2", "x1"),
    (0x9adf_105f, "irg sp, x2", "sp"),
    (0xf940_0041, "ldr x1, [x2]", "x1"),
    (0xf840_8c41, "ldr x1, [x2, #8]!", "x1 x2"),
    (0xf840_8441, "ldr x1, [x2], #8", "x1 x2"),
    (0xf841_07e1, "ldr x1, [sp], #16", "x1 sp"),
    (0xf863_6841, "ldr x1, [x2, x3]", "x1"),
    (0x5800_0001, "ldr x1, .", "x1"),
    (0xb980_0841, "ldrsw x1, [x2, #8]", "x1"),
    (0xf840_0841, "ldtr x1, [x2]", "x1 x2"),
    (0xf85f_8041, "ldur x1, [x2, #-8]", "x1 x2"),
    (0xf900_0441, "str x1, [x2, #8]", "x1"),
    (0xf900_07ff, "str xzr, [sp, #8]", ""),
    (0xa9be_7bfd, "stp x29, x30, [sp, #-32]!", "x29 x30 sp"),
    (0xa8c2_7bfd, "ldp x29, x30, [sp], #32", "x29 x30 sp"),
    (0xa940_0861, "ldp x1, x2, [x3]", "x1 x2 x3"),
    (0x68c1_0861, "ldpsw x1, x2, [x3], #8", "x1 x2 x3"),
    (0xc85f_7c41, "ldxr x1, [x2]", "x1"),
    (0xc803_7c41, "stxr w3, x1, [x2]", "x1 x3"),
    (0xc87f_1041, "ldxp x1, x4, [x2]", "x1 x4"),
    (0xc8df_fc41, "ldar x1, [x2]", "x1"),
    (0xc89f_fc41, "stlr x1, [x2]", "x1"),
    (0xc8a1_7c62, "cas x1, x2, [x3]", "x1 x2"),
    (0x4822_7cc4, "casp x2, x3, x4, x5, [x6]", "-"),
    (0xf821_0062, "ldadd x1, x2, [x3]", "x2"),
    (0xf821_8062, "swp x1, x2, [x3]", "x2"),
    (0xf8bf_c041, "ldapr x1, [x2]", "x1"),
    (0xd940_8041, "ldapur x1, [x2, #8]", "x1"),
    (0xd900_8041, "stlur x1, [x2, #8]", "x1"),
    (0xf820_1c41, "ldraa x1, [x2, #8]!", "x1 x2"),
    (0xf83f_d040, "ld64b x0, [x2]", "-"),
    (0xf83f_9040, "st64b x0, [x2]", "-"),
    (0xf821_b040, "st64bv x1, x0, [x2]", "-"),
    (0xf980_0040, "prfm pldl1keep, [x2]", "x0"),
    (0x3dc0_0041, "ldr q1, [x2]", "-"),
    (0xfc00_8441, "str d1, [x2], #8", "-"),
    (0x9e66_0041, "fmov x1, d2", "-"),
    (0x4ea3_8441, "add v1.4s, v2.4s, v3.4s", "-"),
    (0x9181_0441, "addg x1, x2, #16, #1", "-"),
    (0xd920_1441, "stg x1, [x2], #16", "-"),
    (0xd960_0041, "ldg x1, [x2]", "-"),
    (0x1902_0461, "cpyfp [x1]!, [x2]!, x3!", "-"),
    (0x19c3_0441, "setp [x1]!, x2!, x3", "-"),
    (0x0000_0000, "udf #0", "-"),
    (0x91c0_0c41, "smax x1, x2, #3", "-"),
];

const EL1H: Pstate = Pstate(0x3c5);

fn effect(text: &str) -> Option<Effect> {
    let nothing = Effect { registers: 0, sets_flags: false, branches: false };
    text.split_whitespace().try_fold(nothing, |mut effect, word| {
        match word {
            "-" => return None,
            "f" => effect.sets_flags = true,
            "b" => effect.branches = true,
            "sp" => effect.registers |= Effect::SP,
            x => effect.registers |= 1 << x.strip_prefix('x').unwrap().parse::<u32>().unwrap(),
        }
        Some(effect)
    })
}

#[test]
fn what_each_instruction_may_change() {
    for (word, text, expected) in INSTRUCTIONS {
        assert_eq!(Effect::of(Word(*word), EL1H), effect(expected), "{text}");
    }
}

#[test]
fn anything_may_change_where_pstate_does() {
    let nop = Word(0xd503_201f);
    assert!(Effect::of(nop, EL1H).is_some());
    assert!(Effect::of(nop, Pstate(0)).is_some());
    // An indirect branch before it; a guest that steps itself; AArch32.
    for bits in [1 << 10, 1 << 11, 1 << 21, 1 << 4] {
        assert_eq!(Effect::of(nop, Pstate(EL1H.0 | bits)), None);
    }
}
