use super::*;

fn sve(bytes: usize) -> Description {
    let register = |n| SystemRegister { name: format!("S{n}"), kind: SystemKind::Number };
    let system = (0..3).map(register).collect();
    let vector_length = Some(bytes);
    Description::new(Contents { vector_length, has_pauth: true, has_tpidr2: false, system })
}

#[test]
fn without_sve_all_but_masks_and_system_registers_is_in_g() {
    let description = Description::new(Contents::default());

    let g = description.in_g();
    let at = |number: usize| (g[number].reg, g[number].offset);
    assert_eq!(g.len(), 68);
    assert_eq!(description.g_size(), 788);
    assert_eq!(at(33), (Register::Cpsr, 264));
    assert_eq!(at(34), (Register::V(0), 268));
    assert_eq!(at(66), (Register::Fpsr, 780));
    assert_eq!(at(67), (Register::Fpcr, 784));
    assert_eq!(description.register(68), Some(Register::Tpidr));
    assert_eq!(description.register(69), None);
}

#[test]
fn with_sve_only_the_core_is_in_g() {
    let description = sve(256);

    assert_eq!(description.in_g().len(), 34);
    assert_eq!(description.g_size(), 268);
    let z1 = description.entry(35).unwrap();
    assert_eq!((z1.reg, z1.size, z1.offset), (Register::Z(1), 256, 524));
    let ffr = description.entry(82).unwrap();
    assert_eq!((ffr.reg, ffr.size), (Register::Ffr, 32));
}

#[test]
fn numbers_go_both_ways_and_end_behind_the_v_registers() {
    let description = sve(16);
    let count = description.infos(true).count() as u64;

    for number in 0..count {
        let reg = description.register(number).unwrap();
        assert_eq!(description.number(reg).map(u64::from), Some(number));
    }
    assert_eq!(count, 34 + 52 + 4 + 1 + 3 + 32);
    assert_eq!(description.infos(false).count(), 34 + 52 + 4 + 1 + 3);
    assert_eq!(description.register(count), None);
    assert_eq!(description.register(u64::MAX), None);
    assert_eq!(description.register(91), Some(Register::System(0)));
}

#[test]
fn more_system_registers_than_there_are_numbers_for_are_left_out() {
    let one = SystemRegister { name: "X".to_owned(), kind: SystemKind::Number };
    let system = vec![one; MOST_SYSTEM_REGISTERS + 7];

    let description = Description::new(Contents { system, ..Contents::default() });

    assert_eq!(description.infos(true).count(), 69 + MOST_SYSTEM_REGISTERS);
}
