use super::*;

const EL1H: Pstate = Pstate(0x3c5);
/// User mode, Z set.
const A32: Pstate = Pstate(0x4000_0010);
const T32: Pstate = Pstate(0x4000_0030);

#[test]
fn decodes_what_the_assembler_makes_of_each() {
    for (word, insn) in [
        (0xd53b_4220, Insn::ReadsMasks(0)),
        (0xd53b_4233, Insn::ReadsMasks(19)),
        (0xd51b_4221, Insn::MsrDaif),
        (0xd503_42df, Insn::DaifSet(pstate::I)),
        (0xd503_4fdf, Insn::DaifSet(pstate::D | pstate::AIF)),
        (0xd503_43ff, Insn::DaifClr(pstate::I | pstate::F)),
        (0xd69f_03e0, Insn::Eret),
        (0xd69f_0bff, Insn::Eret),
        (0xd69f_0fff, Insn::Eret),
        (0xd420_0000, Insn::Brk(0)),
        (0xd421_0000, Insn::Brk(0x800)),
        (0xd400_0002, Insn::Hvc),
        (0xd400_0003, Insn::Hvc),
        (0xd503_207f, Insn::Wfi),
        (0xd503_201f, Insn::Other),
        // HLT #0 is BRK's neighbour, SVC #0 HVC's.
        (0xd440_0000, Insn::Other),
        (0xd400_0001, Insn::Other),
    ] {
        assert_eq!(Insn::decode(Word(word), EL1H), insn, "{word:#x}");
    }
}

#[test]
fn aarch32_reads_the_masks_where_its_condition_holds() {
    // mrs r3, cpsr; mrseq; mrsne.
    assert_eq!(Insn::decode(Word(0xe10f_3000), A32), Insn::ReadsMasks(3));
    assert_eq!(Insn::decode(Word(0x010f_3000), A32), Insn::ReadsMasks(3));
    assert_eq!(Insn::decode(Word(0x110f_3000), A32), Insn::Other);
    // The same in T32, outside an IT block and in one whose condition is NE (IT[7:5] in PSTATE[15:13]).
    assert_eq!(Insn::decode(Word(0x8300_f3ef), T32), Insn::ReadsMasks(3));
    let in_ne = Pstate(T32.0 | 0x1800);
    assert_eq!(Insn::decode(Word(0x8300_f3ef), in_ne), Insn::Other);
    // An A64 word means something else there.
    assert_eq!(Insn::decode(Word(0xd53b_4220), A32), Insn::Other);
}

#[test]
fn t32_instructions_have_one_halfword_or_two() {
    assert_eq!(Word(0xbf00_be00).len(Isa::T32), 2);
    assert_eq!(Word(0xe7fe_e7fe).len(Isa::T32), 2);
    assert_eq!(Word(0x3f00_e852).len(Isa::T32), 4);
    assert_eq!(Word(0xbf00_be00).len(Isa::A32), 4);
}

#[test]
fn a_plain_instruction_gets_its_bits_back() {
    let after = Insn::Other.aif_after(0x6000_0305, 0x8000_03c5);

    assert_eq!(after, Some(0x8000_0305));
}

#[test]
fn daif_writes_take_effect_on_the_original_bits() {
    let masked = 0x3c5;
    assert_eq!(Insn::DaifSet(pstate::I).aif_after(0x305, masked), Some(0x385));
    assert_eq!(Insn::DaifClr(pstate::I).aif_after(0x3c5, 0x345), Some(0x345));
    assert_eq!(Insn::DaifClr(pstate::I).aif_after(0x385, 0x345), Some(0x305));
    assert_eq!(Insn::MsrDaif.aif_after(0x305, 0x3c5), None);
    assert_eq!(Insn::Eret.aif_after(0x305, 0x0), None);
}
