//! What the user wants to hear of that is the guest's own business: `monitor catch`.

use std::collections::BTreeSet;

use crate::arch::classes;

/// What is caught.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Catches {
    brk: Immediates,
    /// The kernel's panic.
    pub panic: Panic,
    /// A bit for each exception class.
    classes: u64,
}

/// Where the kernel's panic is caught.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub enum Panic {
    /// It is not.
    #[default]
    Off,
    /// Where the kernel's symbols have it.
    BySymbols,
    /// At this address.
    At(u64),
}

/// BRKs, by their immediates.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
enum Immediates {
    #[default]
    None,
    Some(BTreeSet<u16>),
    All,
}

impl Catches {
    /// Whether any BRK is.
    pub fn has_brk(&self) -> bool {
        self.brk != Immediates::None
    }

    /// Whether a BRK with this immediate is.
    pub fn is_brk_caught(&self, immediate: u16) -> bool {
        match &self.brk {
            Immediates::None => false,
            Immediates::Some(some) => some.contains(&immediate),
            Immediates::All => true,
        }
    }

    /// Catches BRKs with this immediate, or all of them.
    pub fn catch_brk(&mut self, immediate: Option<u16>) {
        match (&mut self.brk, immediate) {
            (Immediates::Some(some), Some(immediate)) => {
                some.insert(immediate);
            }
            (Immediates::None, Some(immediate)) => self.brk = Immediates::Some([immediate].into()),
            (Immediates::All, Some(_)) => {}
            (_, None) => self.brk = Immediates::All,
        }
    }

    /// Catches BRKs with this immediate, or all of them, no longer. False if it cannot be taken out of all.
    pub fn release_brk(&mut self, immediate: Option<u16>) -> bool {
        match (&mut self.brk, immediate) {
            (_, None) => self.brk = Immediates::None,
            (Immediates::All, Some(_)) => return false,
            (Immediates::Some(some), Some(immediate)) => {
                some.remove(&immediate);
                if some.is_empty() {
                    self.brk = Immediates::None;
                }
            }
            (Immediates::None, Some(_)) => {}
        }
        true
    }

    /// Whether any exception class is caught.
    pub fn has_classes(&self) -> bool {
        self.classes != 0
    }

    /// Whether this exception class is.
    pub fn is_class_caught(&self, class: u8) -> bool {
        1_u64.checked_shl(class.into()).is_some_and(|bit| self.classes & bit != 0)
    }

    /// Catches an exception class, below 64.
    pub fn catch_class(&mut self, class: u8) {
        self.classes |= 1_u64.checked_shl(class.into()).unwrap_or(0);
    }

    /// Catches no exceptions any longer.
    pub fn release_classes(&mut self) {
        self.classes = 0;
    }

    /// Offsets of the vectors that the classes that are caught come by.
    pub fn vectors(&self) -> BTreeSet<u64> {
        (0..64)
            .filter(|class| self.is_class_caught(*class))
            .flat_map(|class| classes::vectors(class).iter().copied())
            .collect()
    }

    /// A line for each.
    pub fn list(&self) -> Vec<String> {
        let brk = match &self.brk {
            Immediates::None => None,
            Immediates::All => Some("brk, all".to_owned()),
            Immediates::Some(some) => {
                let some: Vec<_> = some.iter().map(|immediate| format!("{immediate:#x}")).collect();
                Some(format!("brk {}", some.join(" ")))
            }
        };
        let panic = match self.panic {
            Panic::Off => None,
            Panic::BySymbols => Some("panic".to_owned()),
            Panic::At(address) => Some(format!("panic at {address:#x}")),
        };
        let caught = (0..64).filter(|class| self.is_class_caught(*class));
        let exceptions =
            caught.map(|class| format!("exception {class:#x} {}", classes::name(class)));
        brk.into_iter().chain(panic).chain(exceptions).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brks_are_caught_by_their_immediates_or_all() {
        let mut catches = Catches::default();
        assert!(catches.list().is_empty() && !catches.is_brk_caught(0x800));

        catches.catch_brk(Some(0x800));
        catches.catch_brk(Some(4));
        assert!(catches.is_brk_caught(0x800) && catches.is_brk_caught(4));
        assert!(!catches.is_brk_caught(5));
        assert_eq!(catches.list(), ["brk 0x4 0x800"]);
        assert!(catches.release_brk(Some(0x800)) && !catches.is_brk_caught(0x800));
        assert!(catches.release_brk(Some(4)));
        assert!(catches.list().is_empty());

        catches.catch_brk(None);
        assert!(catches.is_brk_caught(5));
        assert_eq!(catches.list(), ["brk, all"]);
        assert!(!catches.release_brk(Some(5)), "one of all");
        assert!(catches.release_brk(None) && catches.list().is_empty());
    }

    #[test]
    fn exceptions_are_caught_by_their_classes_at_their_vectors() {
        let mut catches = Catches::default();
        catches.catch_class(0x25);
        assert!(catches.is_class_caught(0x25) && !catches.is_class_caught(0x24));
        assert_eq!(catches.vectors().into_iter().collect::<Vec<_>>(), [0x200]);

        catches.catch_class(0x15);
        assert_eq!(catches.vectors().into_iter().collect::<Vec<_>>(), [0x200, 0x400]);
        assert_eq!(catches.list(), ["exception 0x15 svc", "exception 0x25 data-abort-el1"]);
        catches.release_classes();
        assert!(catches.list().is_empty());

        catches.panic = Panic::At(0xffff_8000_8001_0000);
        assert_eq!(catches.list(), ["panic at 0xffff800080010000"]);
        catches.panic = Panic::BySymbols;
        assert_eq!(catches.list(), ["panic"]);
    }
}
