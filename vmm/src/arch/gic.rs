//! An interrupt controller's registers (Arm IHI 0069 for GICv3, IHI 0048 for GICv2). The distributor and a GICv3
//! redistributor's second frame have those of an interrupt at the same offsets.

use std::fmt;

const IGROUPR: u32 = 0x080;
const ISENABLER: u32 = 0x100;
const ISPENDR: u32 = 0x200;
const ISACTIVER: u32 = 0x300;
const IPRIORITYR: u32 = 0x400;
const ICFGR: u32 = 0xc00;

/// GICD_CTLR.
pub const GICD_CTLR: u32 = 0x000;
/// GICv2: which vCPUs an SPI goes to, a byte for each interrupt.
pub const GICD_ITARGETSR: u32 = 0x800;
/// GICv3: the affinity that an SPI goes to, 8 bytes for each interrupt.
pub const GICD_IROUTER: u32 = 0x6000;

/// 32 interrupts, the first of which is a multiple of 32.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bank {
    first: u32,
    group: u32,
    enabled: u32,
    pending: u32,
    active: u32,
    priority: [u32; 8],
    config: [u32; 2],
}

/// One interrupt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "the architecture has a bit for each")]
pub struct Interrupt {
    /// Its number.
    pub intid: u32,
    /// Forwarded at all.
    pub enabled: bool,
    /// Waits to be taken: latched, or by its line.
    pub pending: bool,
    /// Taken, and not done with.
    pub active: bool,
    /// 0 is the highest.
    pub priority: u8,
    /// By an edge of its line, not by its level.
    pub is_edge: bool,
    /// Whether its line is high, if that is known.
    pub line: Option<bool>,
    /// 0 or 1.
    pub group: u8,
}

impl Bank {
    /// Reads the registers of the 32 interrupts from `first` on; `read` gets their offsets.
    pub fn read<E>(first: u32, mut read: impl FnMut(u32) -> Result<u32, E>) -> Result<Self, E> {
        let words = first / 32;
        let mut one = |register| read(register + 4 * words);
        let [group, enabled] = [one(IGROUPR)?, one(ISENABLER)?];
        let [pending, active] = [one(ISPENDR)?, one(ISACTIVER)?];
        let (mut priority, mut config) = ([0; 8], [0; 2]);
        for (offset, word) in (IPRIORITYR + first..).step_by(4).zip(&mut priority) {
            *word = read(offset)?;
        }
        for (offset, word) in (ICFGR + first / 4..).step_by(4).zip(&mut config) {
            *word = read(offset)?;
        }
        Ok(Self { first, group, enabled, pending, active, priority, config })
    }

    /// The interrupts. `lines` tells which of their lines are high, if anybody does.
    pub fn interrupts(&self, lines: Option<u32>) -> impl Iterator<Item = Interrupt> {
        let bank = *self;
        (0..32).map(move |n| {
            let has = |word: u32| word >> n & 1 != 0;
            let word = |words: &[u32], index: u32| words.get(index as usize).copied().unwrap_or(0);
            let is_edge = word(&bank.config, n / 16) >> (n % 16 * 2) & 2 != 0;
            let line = lines.map(has);
            Interrupt {
                intid: bank.first + n,
                enabled: has(bank.enabled),
                // What is latched is not all: KVM tells of a GICv3's lines apart.
                pending: has(bank.pending) || !is_edge && line == Some(true),
                active: has(bank.active),
                priority: (word(&bank.priority, n / 4) >> (n % 4 * 8)) as u8,
                is_edge,
                line,
                group: u8::from(has(bank.group)),
            }
        })
    }
}

impl fmt::Display for Interrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = |is_so, word| if is_so { word } else { "-" };
        let line = match self.line {
            Some(true) => "high",
            Some(false) => "low",
            None => "?",
        };
        write!(
            f,
            "{:>4}  {:7}  {:7}  {:6}  {:#04x}  {:5}  {line:4}  {}",
            self.intid,
            word(self.enabled, "enabled"),
            word(self.pending, "pending"),
            word(self.active, "active"),
            self.priority,
            if self.is_edge { "edge" } else { "level" },
            self.group,
        )
    }
}

/// What stands above the columns.
pub const HEADING: &str = "INTID  enabled  pending  active  prio  type   line  group";

/// Where GICD_IROUTERn sends an interrupt: an affinity as MPIDR_EL1 has it, or `None` for any vCPU.
pub fn route(router: u64) -> Option<u64> {
    const ANY: u64 = 1 << 31;
    (router & ANY == 0).then_some(router & 0xff_00ff_ffff)
}

/// The priority that a CPU interface runs at, by its active priorities register (ICC_APmRn_EL1, GICC_APRn; 5 bits of
/// priority): `None` when idle.
pub fn running_priority(active: u32) -> Option<u8> {
    (active != 0).then(|| (active.trailing_zeros() << 3) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    fn bank(first: u32, words: &[(u32, u32)]) -> Bank {
        let read = |offset| {
            let word = words.iter().find(|(at, _)| *at == offset);
            Ok::<_, Infallible>(word.map_or(0, |(_, word)| *word))
        };
        Bank::read(first, read).unwrap()
    }

    #[test]
    fn an_interrupts_bits_are_where_the_manual_has_them() {
        // INTID 33 in the distributor.
        let bank = bank(
            32,
            &[(0x84, 2), (0x104, 2), (0x204, 2), (0x304, 2), (0x420, 0xa000), (0xc08, 0b1000)],
        );

        let interrupts: Vec<_> = bank.interrupts(Some(2)).collect();
        assert_eq!(interrupts.len(), 32);
        assert_eq!(
            interrupts[1],
            Interrupt {
                intid: 33,
                enabled: true,
                pending: true,
                active: true,
                priority: 0xa0,
                is_edge: true,
                line: Some(true),
                group: 1
            }
        );
        assert!(!interrupts[0].enabled && !interrupts[2].enabled);
        assert_eq!(
            interrupts[1].to_string(),
            "  33  enabled  pending  active  0xa0  edge   high  1"
        );
        assert_eq!(
            interrupts[0].to_string(),
            "  32  -        -        -       0x00  level  low   0"
        );
    }

    #[test]
    fn a_level_is_pending_while_its_line_is_high_and_an_edge_is_not() {
        let edges = bank(0, &[(0xc04, 0b10)]);

        let found: Vec<_> = edges.interrupts(Some(0x3_0000)).map(|it| it.pending).collect();
        assert_eq!((found[16], found[17]), (false, true));
        let unknown = edges.interrupts(None).nth(17);
        assert_eq!(unknown.map(|it| (it.pending, it.line)), Some((false, None)));
    }

    #[test]
    fn routes_and_priorities() {
        assert_eq!(route(0x1_0000_0203), Some(0x1_0000_0203));
        assert_eq!(route(1 << 31), None);
        assert_eq!(running_priority(0), None);
        assert_eq!(running_priority(1 << 20 | 1 << 30), Some(0xa0));
    }
}
