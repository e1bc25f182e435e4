//! Parts of a CPU that a host may have and a guest may go without, and `--cpu-features`, which says so.

use std::fmt;

/// One of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Feature {
    /// Memory tagging (FEAT_MTE2).
    Mte,
    /// Pointer authentication (FEAT_PAuth), addresses and generic.
    Pauth,
    /// Performance monitors (FEAT_PMUv3).
    Pmu,
    /// Scalable vectors (FEAT_SVE).
    Sve,
}

impl Feature {
    /// All of them, in the order of their names.
    pub const ALL: [Self; 4] = [Self::Mte, Self::Pauth, Self::Pmu, Self::Sve];

    /// As it is called on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mte => "mte",
            Self::Pauth => "pauth",
            Self::Pmu => "pmu",
            Self::Sve => "sve",
        }
    }

    /// Whether a guest has it where the host has it, unless the user chose. Tags take a thirty-second of the
    /// guest's memory on top of it, and are cleared with it, whether the guest uses them or not.
    pub fn is_on_by_default(self) -> bool {
        self != Self::Mte
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mte => "memory tagging",
            Self::Pauth => "pointer authentication",
            Self::Pmu => "performance monitors",
            Self::Sve => "SVE",
        })
    }
}

/// What the user chose.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Choices([Option<bool>; Feature::ALL.len()]);

impl Choices {
    /// Parses a list of `NAME=on` and `NAME=off` with commas in between. The error is the part of it that is none.
    pub fn parse(text: &str) -> Result<Self, &str> {
        let mut choices = Self::default();
        for part in text.split(',') {
            let (name, value) = part.split_once('=').ok_or(part)?;
            let is_on = match value {
                "on" => true,
                "off" => false,
                _ => return Err(part),
            };
            let index = Feature::ALL.iter().position(|feature| feature.name() == name);
            *index.and_then(|index| choices.0.get_mut(index)).ok_or(part)? = Some(is_on);
        }
        Ok(choices)
    }

    /// Whether a guest is to have this; `None` if the user did not say.
    pub fn of(self, feature: Feature) -> Option<bool> {
        let chosen = Feature::ALL.into_iter().zip(self.0).find(|(known, _)| *known == feature);
        chosen.and_then(|(_, choice)| choice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_on_each_feature_counts() {
        let choices = Choices::parse("sve=off,pmu=on,sve=on,mte=off").unwrap();

        let chosen = Feature::ALL.map(|feature| choices.of(feature));
        assert_eq!(chosen, [Some(false), None, Some(true), Some(true)]);
    }

    #[test]
    fn what_is_no_choice_is_named() {
        for (text, bad) in [
            ("", ""),
            ("sve", "sve"),
            ("sve=off,", ""),
            ("sve=off,pauth=no", "pauth=no"),
            ("sme=on", "sme=on"),
            (" sve=on", " sve=on"),
            ("sve=on=off", "sve=on=off"),
        ] {
            assert_eq!(Choices::parse(text), Err(bad));
        }
    }
}
