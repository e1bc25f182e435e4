//! What is known of a vCPU's registers while it stands still. A KVM_GET_ONE_REG costs a quarter of
//! a step, so none is asked for twice, nor after a step over an instruction that leaves it alone.

use std::cell::Cell;

use super::effect::Effect;

/// A register, by where its value is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slot(u8);

/// How many slots there are.
const SLOTS: usize = 96;

impl Slot {
    /// Xn, n in 0..=30.
    pub const fn x(n: u8) -> Self {
        Self(n)
    }

    /// Vn, n in 0..=31.
    pub const fn v(n: u8) -> Self {
        Self(64 + n)
    }

    /// SP_EL0.
    pub const SP_EL0: Self = Self(31);
    /// SP_EL1.
    pub const SP_EL1: Self = Self(32);
    /// Program counter.
    pub const PC: Self = Self(33);

    /// Any other register, n in 0..30.
    pub const fn other(n: u8) -> Self {
        Self(34 + n)
    }

    fn bit(self) -> u128 {
        1 << self.0
    }
}

/// Registers whose values are known, a bit for each slot.
#[derive(Clone, Copy, Default)]
pub struct Names(u128);

/// Values as KVM has them, PSTATE aside.
pub struct Known {
    names: Cell<Names>,
    values: [Cell<u128>; SLOTS],
    pstate: Cell<Pstate>,
}

/// PSTATE changes twice for each step, and most of the time back to what KVM has.
#[derive(Clone, Copy, Default)]
struct Pstate {
    /// What KVM has, if that is known.
    in_kvm: Option<u64>,
    /// What it is to have when the vCPU runs, where that is something else.
    wanted: Option<u64>,
}

impl Default for Known {
    fn default() -> Self {
        Self {
            names: Cell::default(),
            values: [const { Cell::new(0) }; SLOTS],
            pstate: Cell::default(),
        }
    }
}

impl Known {
    /// A register's value.
    pub fn get(&self, slot: Slot) -> Option<u128> {
        let is_known = self.names.get().0 & slot.bit() != 0;
        self.values.get(usize::from(slot.0)).filter(|_| is_known).map(Cell::get)
    }

    /// KVM has this value.
    pub fn note(&self, slot: Slot, value: u128) {
        if let Some(cell) = self.values.get(usize::from(slot.0)) {
            cell.set(value);
            self.names.set(Names(self.names.get().0 | slot.bit()));
        }
    }

    /// KVM may have another value now.
    pub fn forget_one(&self, slot: Slot) {
        self.names.set(Names(self.names.get().0 & !slot.bit()));
    }

    /// PSTATE as it will be when the vCPU runs.
    pub fn pstate(&self) -> Option<u64> {
        let Pstate { in_kvm, wanted } = self.pstate.get();
        wanted.or(in_kvm)
    }

    /// KVM has this PSTATE, and shall have it.
    pub fn note_pstate(&self, pstate: u64) {
        self.pstate.set(Pstate { in_kvm: Some(pstate), wanted: None });
    }

    /// KVM is to have this PSTATE when the vCPU runs.
    pub fn want_pstate(&self, pstate: u64) {
        self.pstate.set(Pstate { wanted: Some(pstate), ..self.pstate.get() });
    }

    /// What KVM is to be told of PSTATE before the vCPU runs.
    pub fn unsaid_pstate(&self) -> Option<u64> {
        let Pstate { in_kvm, wanted } = self.pstate.get();
        wanted.filter(|wanted| in_kvm != Some(*wanted))
    }

    /// Which are known now.
    pub fn names(&self) -> Names {
        self.names.get()
    }

    /// Nothing is known any more: the vCPU runs, or may have been changed from elsewhere.
    pub fn forget(&self) {
        self.names.set(Names::default());
        self.pstate.set(Pstate::default());
    }

    /// As [`Self::forget`], but what KVM is to be told of PSTATE stays to be told.
    pub fn forget_all_but_masks(&self) {
        self.names.set(Names::default());
        self.pstate.set(Pstate { in_kvm: None, ..self.pstate.get() });
    }

    /// The vCPU has executed one instruction to its end, with this PSTATE, when these were known: what
    /// that has left alone is known again, beside what has been asked for since.
    pub fn recall(&self, names: Names, effect: Effect, pstate: u64) {
        let x = u128::from(effect.registers & !Effect::SP);
        let sp = match effect.registers & Effect::SP {
            0 => 0,
            _ => Slot::SP_EL0.bit() | Slot::SP_EL1.bit(),
        };
        let kept = names.0 & !(x | sp | Slot::PC.bit());
        self.names.set(Names(kept | self.names.get().0));
        if !effect.sets_flags {
            self.note_pstate(pstate);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADD: Effect = Effect { registers: 1 << 3, sets_flags: false, branches: false };

    #[test]
    fn each_register_has_a_place_of_its_own() {
        let known = Known::default();
        let slots =
            (0..31).map(Slot::x).chain((0..30).map(Slot::other)).chain((0..32).map(Slot::v));
        let slots: Vec<Slot> = slots.chain([Slot::SP_EL0, Slot::SP_EL1, Slot::PC]).collect();
        for slot in &slots {
            known.note(*slot, u128::MAX - u128::from(slot.0));
        }

        let is_there = |slot: &Slot| known.get(*slot) == Some(u128::MAX - u128::from(slot.0));
        assert!(slots.iter().all(is_there));
        known.forget();
        assert!(slots.iter().all(|slot| known.get(*slot).is_none()));
    }

    #[test]
    fn after_a_step_all_but_what_it_wrote_is_known() {
        let known = Known::default();
        for n in 0..31 {
            known.note(Slot::x(n), n.into());
        }
        known.note(Slot::SP_EL1, 77);
        known.note(Slot::PC, 0x1000);
        known.note_pstate(0x3c5);
        let names = known.names();
        known.forget();
        assert_eq!((known.get(Slot::x(1)), known.pstate()), (None, None));
        known.note(Slot::PC, 0x1004);

        known.recall(names, ADD, 0x3c5);
        assert_eq!((known.get(Slot::x(2)), known.get(Slot::x(3))), (Some(2), None));
        assert_eq!((known.get(Slot::PC), known.pstate()), (Some(0x1004), Some(0x3c5)));
        assert_eq!(known.get(Slot::SP_EL1), Some(77));
    }

    #[test]
    fn what_sets_flags_and_sp_leaves_the_rest() {
        let known = Known::default();
        known.note(Slot::SP_EL0, 1);
        known.note(Slot::SP_EL1, 2);
        known.note(Slot::PC, 0x1000);
        known.note(Slot::other(3), 3);
        let names = known.names();
        known.forget();

        let effect = Effect { registers: Effect::SP, sets_flags: true, branches: false };
        known.recall(names, effect, 5);
        let unknown = [Slot::SP_EL0, Slot::SP_EL1, Slot::PC].map(|slot| known.get(slot));
        assert_eq!(unknown, [None; 3]);
        assert_eq!((known.pstate(), known.get(Slot::other(3))), (None, Some(3)));
    }

    #[test]
    fn one_is_forgotten_alone() {
        let known = Known::default();
        known.note(Slot::x(1), 1);
        known.note(Slot::x(2), 2);

        known.forget_one(Slot::x(1));
        assert_eq!((known.get(Slot::x(1)), known.get(Slot::x(2))), (None, Some(2)));
    }

    #[test]
    fn pstate_is_told_only_if_it_differs() {
        let known = Known::default();
        assert_eq!(known.unsaid_pstate(), None);
        known.note_pstate(5);
        known.want_pstate(0x1c5);
        assert_eq!((known.pstate(), known.unsaid_pstate()), (Some(0x1c5), Some(0x1c5)));
        known.want_pstate(5);
        assert_eq!((known.pstate(), known.unsaid_pstate()), (Some(5), None));
        known.forget_all_but_masks();
        assert_eq!(known.unsaid_pstate(), Some(5), "nobody knows what KVM has");
        known.forget();
        assert_eq!((known.pstate(), known.unsaid_pstate()), (None, None));
    }
}
