use super::*;

const PC: u64 = 0xffff_8000_8000_1000;

#[test]
fn a64_instructions_go_where_the_assembler_says() {
    for (word, flow) in [
        (0xc85f_7c01, Flow::LoadExclusive),  // ldxr x1, [x0]
        (0x085f_fc01, Flow::LoadExclusive),  // ldaxrb w1, [x0]
        (0xc87f_0801, Flow::LoadExclusive),  // ldxp x1, x2, [x0]
        (0x887f_0801, Flow::LoadExclusive),  // ldxp w1, w2, [x0]
        (0xc802_7c01, Flow::StoreExclusive), // stxr w2, x1, [x0]
        (0x4802_fc01, Flow::StoreExclusive), // stlxrh w2, w1, [x0]
        (0xc823_0801, Flow::StoreExclusive), // stxp w3, x1, x2, [x0]
        (0x4820_7c82, Flow::Next),           // casp x0, x1, x2, x3, [x4]
        (0xc8a0_7c41, Flow::Next),           // cas x0, x1, [x2]
        (0xc8df_fc01, Flow::Next),           // ldar x1, [x0]
        (0xc89f_fc01, Flow::Next),           // stlr x1, [x0]
        (0x1400_0002, Flow::Branch(PC + 8)), // b .+8
        (0x17ff_ffff, Flow::Branch(PC - 4)), // b .-4
        (0x5400_0041, Flow::Branch(PC + 8)), // b.ne .+8
        (0xb5ff_ffe1, Flow::Branch(PC - 4)), // cbnz x1, .-4
        (0x3400_0041, Flow::Branch(PC + 8)), // cbz w1, .+8
        (0x3707_ffe1, Flow::Branch(PC - 4)), // tbnz w1, #0, .-4
        (0xb640_0041, Flow::Branch(PC + 8)), // tbz x1, #40, .+8
        (0x9400_0002, Flow::Opaque),         // bl .+8
        (0xd61f_0020, Flow::Opaque),         // br x1
        (0xd65f_03c0, Flow::Opaque),         // ret
        (0xd400_0001, Flow::Opaque),         // svc #0
        (0xd420_0000, Flow::Opaque),         // brk #0
        (0xd503_205f, Flow::Opaque),         // wfe
        (0xd51b_4220, Flow::Opaque),         // msr daif, x0
        (0xd53b_4220, Flow::Opaque),         // mrs x0, daif
        (0xd53b_d040, Flow::Next),           // mrs x0, tpidr_el0
        (0x0000_0000, Flow::Opaque),         // udf #0
        (0xd503_201f, Flow::Next),           // nop
        (0xd503_305f, Flow::Next),           // clrex (#0)
        (0xd503_3bbf, Flow::Next),           // dmb ish
        (0x9100_0421, Flow::Next),           // add x1, x1, #1
    ] {
        assert_eq!(Flow::of(PC, Word(word), Isa::A64), flow, "{word:#x}");
    }
}

#[test]
fn a32_instructions_go_where_the_assembler_says() {
    for (word, flow) in [
        (0xe190_1f9f, Flow::LoadExclusive),   // ldrex r1, [r0]
        (0xe1d0_1e9f, Flow::LoadExclusive),   // ldaexb r1, [r0]
        (0xe180_2f91, Flow::StoreExclusive),  // strex r2, r1, [r0]
        (0x0180_2f91, Flow::StoreExclusive),  // strexeq r2, r1, [r0]
        (0xe190_1c9f, Flow::Next),            // lda r1, [r0]
        (0xe180_fc91, Flow::Next),            // stl r1, [r0]
        (0x1aff_fffb, Flow::Branch(PC - 12)), // bne .-12
        (0xea00_0001, Flow::Branch(PC + 12)), // b .+12
        (0xeb00_0001, Flow::Opaque),          // bl .+12
        (0xe12f_ff1e, Flow::Opaque),          // bx lr
        (0xe120_0070, Flow::Opaque),          // bkpt #0
        (0xe10f_3000, Flow::Opaque),          // mrs r3, cpsr
        (0xef00_0000, Flow::Opaque),          // svc #0
        (0xe7f0_00f0, Flow::Opaque),          // udf #0
        (0xe1a0_f00e, Flow::Opaque),          // mov pc, lr
        (0xe8bd_8010, Flow::Opaque),          // pop {r4, pc}
        (0xe320_f002, Flow::Opaque),          // wfe
        (0xf57f_f01f, Flow::Next),            // clrex
        (0xf57f_f05b, Flow::Next),            // dmb ish
        (0xe332_0000, Flow::Next),            // teq r2, #0
        (0xe281_1001, Flow::Next),            // add r1, r1, #1
    ] {
        assert_eq!(Flow::of(PC, Word(word), Isa::A32), flow, "{word:#x}");
    }
}

#[test]
fn t32_instructions_go_where_the_assembler_says() {
    for (first, second, flow) in [
        (0xe850, 0x1f00, Flow::LoadExclusive),  // ldrex r1, [r0]
        (0xe8d0, 0x1f4f, Flow::LoadExclusive),  // ldrexb r1, [r0]
        (0xe8d0, 0x1fef, Flow::LoadExclusive),  // ldaex r1, [r0]
        (0xe840, 0x1200, Flow::StoreExclusive), // strex r2, r1, [r0]
        (0xe8c0, 0x1fe2, Flow::StoreExclusive), // stlex r2, r1, [r0]
        (0xe8d0, 0x1faf, Flow::Next),           // lda r1, [r0]
        (0xe8df, 0xf001, Flow::Opaque),         // tbb [pc, r1]
        (0xd1fc, 0, Flow::Branch(PC - 4)),      // bne.n .-4
        (0xe001, 0, Flow::Branch(PC + 6)),      // b.n .+6
        (0xb912, 0, Flow::Branch(PC + 8)),      // cbnz r2, .+8
        (0xf47f, 0xaffe, Flow::Branch(PC)),     // bne.w .
        (0xf7ff, 0xbffe, Flow::Branch(PC)),     // b.w .
        (0xf000, 0xb802, Flow::Branch(PC + 8)), // b.w .+8
        (0xf7ff, 0xfffe, Flow::Opaque),         // bl .
        (0xdf00, 0, Flow::Opaque),              // svc #0
        (0xde00, 0, Flow::Opaque),              // udf #0
        (0xbe00, 0, Flow::Opaque),              // bkpt #0
        (0x4770, 0, Flow::Opaque),              // bx lr
        (0x46f7, 0, Flow::Opaque),              // mov pc, lr
        (0xbd10, 0, Flow::Opaque),              // pop {r4, pc}
        (0xe8bd, 0x8010, Flow::Opaque),         // pop.w {r4, pc}
        (0xf8d0, 0xf000, Flow::Opaque),         // ldr.w pc, [r0]
        (0xf3ef, 0x8300, Flow::Opaque),         // mrs r3, cpsr
        (0xf3bf, 0x8f2f, Flow::Next),           // clrex
        (0xf101, 0x0101, Flow::Next),           // add.w r1, r1, #1
        (0xbf08, 0, Flow::Next),                // it eq
        (0x3101, 0, Flow::Next),                // adds r1, #1
    ] {
        let word = Word(first | second << 16);
        assert_eq!(Flow::of(PC, word, Isa::T32), flow, "{first:#x} {second:#x}");
    }
}

#[test]
fn branches_are_turned_elsewhere_within_their_reach() {
    for (word, isa) in [
        (0x17ff_ffff, Isa::A64), // b .-4
        (0xb5ff_ffe1, Isa::A64), // cbnz x1, .-4
        (0x3707_ffe1, Isa::A64), // tbnz w1, #0, .-4
        (0x5400_0041, Isa::A64), // b.ne .+8
        (0x1aff_fffb, Isa::A32), // bne .-12
        (0xd1fc, Isa::T32),      // bne.n .-4
        (0xe7fc, Isa::T32),      // b.n .-4
    ] {
        let turned = retarget(PC, Word(word), isa, PC + 0x10).unwrap();
        assert_eq!(Flow::of(PC, turned, isa), Flow::Branch(PC + 0x10), "{word:#x}");
        // The condition and register stay.
        let back = retarget(PC, turned, isa, PC - 0x20).unwrap();
        let original = retarget(PC, Word(word), isa, PC - 0x20).unwrap();
        assert_eq!(back, original, "{word:#x}");
    }
    assert_eq!(retarget(PC, Word(0x3707_ffe1), Isa::A64, PC + 0x1_0000), None);
    assert_eq!(retarget(PC, Word(0xd503_201f), Isa::A64, PC), None);
}
