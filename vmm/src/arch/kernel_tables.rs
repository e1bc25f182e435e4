//! Which tables the kernel uses, for when the vCPU is not in it.

/// The last two different values of TTBR1_EL1 that a vCPU had at EL1. Where the kernel is unmapped
/// at EL0 (KPTI), TTBR1_EL1 holds a trampoline's tables then, and for some instructions at EL1 too.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct KernelTables([Option<u64>; 2]);

impl KernelTables {
    /// Takes the value at EL1 down.
    pub fn note(&mut self, ttbr1: u64) {
        let [last, before] = &mut self.0;
        if *last != Some(ttbr1) {
            *before = last.replace(ttbr1);
        }
    }

    /// The later one first.
    pub fn iter(self) -> impl Iterator<Item = u64> {
        self.0.into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_two_kernel_tables_are_remembered() {
        let mut tables = KernelTables::default();
        for ttbr1 in [1, 2, 2, 1, 1, 3] {
            tables.note(ttbr1);
        }

        assert_eq!(tables.iter().collect::<Vec<_>>(), [3, 1]);
    }
}
