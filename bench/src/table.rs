//! What is measured, and the table that shows it.

use std::fmt::{self, Display, Formatter};

/// How often each thing is measured, after once to warm up.
pub const RUNS: usize = 5;

/// The figures of one thing, in ascending order.
#[derive(Clone, Debug)]
pub struct Series(Vec<f64>);

impl Series {
    /// Measures once for warm caches, then [`RUNS`] times.
    pub fn measure(run: impl FnMut() -> f64) -> Self {
        Self::measure_times(RUNS, run)
    }

    /// Measures once for warm caches, then as often as this.
    pub fn measure_times(runs: usize, mut run: impl FnMut() -> f64) -> Self {
        run();
        Self::of((0..runs).map(|_| run()).collect())
    }

    /// Of what was measured already; at least one figure.
    pub fn of(mut figures: Vec<f64>) -> Self {
        figures.sort_by(f64::total_cmp);
        assert!(!figures.is_empty(), "no figures");
        Self(figures)
    }

    /// The one in the middle.
    pub fn median(&self) -> f64 {
        self.0[self.0.len() / 2]
    }

    fn min(&self) -> f64 {
        self.0[0]
    }

    fn max(&self) -> f64 {
        self.0[self.0.len() - 1]
    }
}

impl Display for Series {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&figure(self.median()))?;
        if self.0.len() > 1 {
            write!(f, " ({}..{})", figure(self.min()), figure(self.max()))?;
        }
        Ok(())
    }
}

/// Three digits or more.
pub fn figure(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// What a row must show.
#[derive(Clone, Copy, Debug)]
pub enum Must {
    /// minivmm's median is at most this.
    AtMost(f64),
    /// minivmm's largest figure is 0.
    BeNothing,
    /// minivmm's median is at most so many times QEMU's.
    Ratio(f64),
    /// For information.
    Nothing,
}

/// A line of the table.
#[derive(Clone, Debug)]
pub struct Row {
    /// In which unit its figures are.
    pub unit: &'static str,
    /// `None` where there is no QEMU, or where it has no such thing.
    pub qemu: Option<Series>,
    /// `None` where the host does not let it be measured.
    pub minivmm: Option<Series>,
    /// What is demanded.
    pub must: Must,
}

impl Row {
    fn ratio(&self) -> Option<f64> {
        let qemu = self.qemu.as_ref()?.median();
        (qemu != 0.0).then_some(self.minivmm.as_ref()?.median() / qemu)
    }

    /// `None` if nothing is demanded, or it cannot be told.
    fn is_met(&self) -> Option<bool> {
        let minivmm = self.minivmm.as_ref()?;
        match self.must {
            Must::AtMost(most) => Some(minivmm.median() <= most),
            Must::BeNothing => Some(minivmm.max() == 0.0),
            Must::Ratio(most) => self.ratio().map(|ratio| ratio <= most),
            Must::Nothing => None,
        }
    }

    /// As Markdown.
    pub fn line(&self, work: &str) -> String {
        let cell = |series: &Option<Series>| series.as_ref().map_or("-".into(), Series::to_string);
        let must = match self.must {
            Must::AtMost(most) => format!("at most {}", figure(most)),
            Must::BeNothing => "0".into(),
            Must::Ratio(most) => format!("at most {} of QEMU's", figure(most)),
            Must::Nothing => "-".into(),
        };
        let met = match self.is_met() {
            Some(true) => "yes",
            Some(false) => "no",
            None => "-",
        };
        format!(
            "| {work}, {} | {} | {} | {} | {must} | {met} |",
            self.unit,
            cell(&self.qemu),
            cell(&self.minivmm),
            self.ratio().map_or("-".into(), figure),
        )
    }
}

/// The lines above the rows.
pub fn head(qemu: Option<&str>) -> String {
    let qemu = qemu.map_or("QEMU (none here)".into(), |version| format!("QEMU {version}"));
    format!(
        "| work | {qemu}, median (min..max) | minivmm, median (min..max) | ratio | must be | met |\n\
         |---|---|---|---|---|---|"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(must: Must) -> Row {
        let [qemu, minivmm] = [[30.0, 10.0, 20.0], [6.0, 4.0, 5.0]];
        let series = |figures: [f64; 3]| Some(Series::of(figures.into()));
        Row { unit: "us", qemu: series(qemu), minivmm: series(minivmm), must }
    }

    #[test]
    fn a_line_has_medians_their_ratio_and_a_verdict() {
        assert_eq!(
            row(Must::AtMost(5.0)).line("work"),
            "| work, us | 20.0 (10.0..30.0) | 5.00 (4.00..6.00) | 0.250 | at most 5.00 | yes |"
        );
        assert!(row(Must::AtMost(4.9)).line("").ends_with("| at most 4.90 | no |"));
        assert!(row(Must::Ratio(0.25)).line("").ends_with("| at most 0.250 of QEMU's | yes |"));
        assert!(row(Must::Ratio(0.24)).line("").ends_with("| no |"));
        assert!(row(Must::Nothing).line("").ends_with("| - | - |"));
        assert!(row(Must::BeNothing).line("").ends_with("| 0 | no |"));
    }

    #[test]
    fn without_qemu_there_is_no_ratio() {
        let row = Row { qemu: None, ..row(Must::Ratio(1.0)) };

        assert_eq!(
            row.line("work"),
            "| work, us | - | 5.00 (4.00..6.00) | - | at most 1.00 of QEMU's | - |"
        );
    }

    #[test]
    fn what_warms_up_is_no_figure() {
        let mut figures = [1000.0, 1.0, 2.0, 3.0, 4.0, 5.0].into_iter();

        let series = Series::measure(|| figures.next().unwrap());

        assert_eq!(series.to_string(), "3.00 (1.00..5.00)");
    }
}
