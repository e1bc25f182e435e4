//! The generic timers of EL1 and EL0 (Arm ARM D12).

use std::fmt;

/// CNTx_CTL_EL0: the timer counts.
const ENABLE: u64 = 1 << 0;
/// It makes no interrupt.
const IMASK: u64 = 1 << 1;

/// A timer as it stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timer {
    /// CNTx_CTL_EL0.
    pub ctl: u64,
    /// CNTx_CVAL_EL0.
    pub cval: u64,
    /// The counter that it goes by: CNTVCT_EL0 or CNTPCT_EL0.
    pub count: u64,
    /// CNTFRQ_EL0 in Hz.
    pub frequency: u64,
}

impl fmt::Display for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_enabled = self.ctl & ENABLE != 0;
        let mask = if self.ctl & IMASK != 0 { ", masked" } else { "" };
        write!(f, "CTL {:#x} ", self.ctl)?;
        if is_enabled {
            // Both are unsigned.
            let us = microseconds(self.cval.abs_diff(self.count), self.frequency);
            let way = if self.cval > self.count { "fires in" } else { "has fired for" };
            write!(f, "on{mask}, {way} {us} us")?;
        } else {
            write!(f, "off{mask}")?;
        }
        write!(f, "; CVAL {:#x}, count {:#x}", self.cval, self.count)
    }
}

/// How long so many ticks take.
pub fn microseconds(ticks: u64, frequency: u64) -> u64 {
    let us = u128::from(ticks) * 1_000_000 / u128::from(frequency.max(1));
    u64::try_from(us).unwrap_or(u64::MAX)
}

/// CNTKCTL_EL1: what EL0 may use, and its event stream.
pub fn control(cntkctl: u64) -> String {
    let names = [
        (0, "EL0PCTEN"),
        (1, "EL0VCTEN"),
        (2, "EVNTEN"),
        (3, "EVNTDIR"),
        (8, "EL0VTEN"),
        (9, "EL0PTEN"),
        (17, "EVNTIS"),
    ];
    let set = names.iter().filter(|(bit, _)| cntkctl >> bit & 1 != 0).map(|(_, name)| *name);
    let set: Vec<_> = set.collect();
    format!("{cntkctl:#x} ({}), EVNTI {}", set.join(" "), cntkctl >> 4 & 0xf)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timer(ctl: u64, cval: u64) -> String {
        Timer { ctl, cval, count: 1_000_000, frequency: 62_500_000 }.to_string()
    }

    #[test]
    fn a_timer_says_when_it_fires() {
        assert_eq!(
            timer(1, 1_062_500),
            "CTL 0x1 on, fires in 1000 us; CVAL 0x103664, count 0xf4240"
        );
        assert_eq!(
            timer(5, 1_000_000 - 6_250),
            "CTL 0x5 on, has fired for 100 us; CVAL 0xf29d6, count 0xf4240"
        );
        assert_eq!(
            timer(3, 1_000_000),
            "CTL 0x3 on, masked, has fired for 0 us; CVAL 0xf4240, count 0xf4240"
        );
        assert_eq!(timer(2, 0), "CTL 0x2 off, masked; CVAL 0x0, count 0xf4240");
    }

    #[test]
    fn numbers_that_no_clock_has_are_no_trouble() {
        assert_eq!(microseconds(u64::MAX, 0), u64::MAX);
        assert!(
            timer(1, u64::MAX).contains("fires in 295147905179336825 us"),
            "{}",
            timer(1, u64::MAX)
        );
    }

    #[test]
    fn what_el0_may_do_is_named() {
        assert_eq!(control(0xd6), "0xd6 (EL0VCTEN EVNTEN), EVNTI 13");
        assert_eq!(control(0x20086), "0x20086 (EL0VCTEN EVNTEN EVNTIS), EVNTI 8");
        assert_eq!(control(0), "0x0 (), EVNTI 0");
    }
}
