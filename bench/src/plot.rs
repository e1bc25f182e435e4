//! Lines on paper with two logarithmic scales, as SVG (SVG 1.1, W3C).

use std::fmt::Write;

use crate::table::figure;

/// Some costs over one input.
pub struct Plot {
    /// Above it.
    pub title: String,
    /// What grows, with its unit.
    pub x: &'static str,
    /// What it costs, with its unit.
    pub y: &'static str,
    /// Name and points of each line.
    pub lines: Vec<(String, Vec<(f64, f64)>)>,
}

/// The paper within the picture, in pixels: left, top, width, height.
const PAPER: [f64; 4] = [70.0, 40.0, 480.0, 280.0];
const COLOURS: [&str; 4] = ["#1f77b4", "#d62728", "#2ca02c", "#9467bd"];

impl Plot {
    /// The file's text.
    pub fn svg(&self) -> String {
        let points = || self.lines.iter().flat_map(|(_, points)| points);
        // Along the x axis, what was measured stands.
        let mut inputs: Vec<_> = points().map(|point| point.0).collect();
        inputs.sort_by(f64::total_cmp);
        inputs.dedup();
        let x = Scale { min: inputs[0] / 1.2, max: inputs[inputs.len() - 1] * 1.2 };
        let y = Scale::of(points().map(|point| point.1));
        let [left, top, width, height] = PAPER;
        let at = |point: &(f64, f64)| {
            (left + x.at(point.0) * width, top + (1.0 - y.at(point.1)) * height)
        };
        let mut svg = String::from(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 760 380\" font-family=\"sans-serif\" font-size=\"12\">\n\
             <rect width=\"760\" height=\"380\" fill=\"white\"/>\n",
        );
        let (right, bottom) = (left + width, top + height);
        for tick in inputs {
            let (px, _) = at(&(tick, y.min));
            line(&mut svg, "stroke=\"#ddd\"", &[(px, top), (px, bottom)]);
            text(&mut svg, (px, bottom + 18.0), "middle", &tick.to_string());
        }
        for tick in y.ticks() {
            let (_, py) = at(&(x.min, tick));
            line(&mut svg, "stroke=\"#ddd\"", &[(left, py), (right, py)]);
            text(&mut svg, (left - 8.0, py + 4.0), "end", &figure(tick));
        }
        line(&mut svg, "stroke=\"black\"", &[(left, top), (left, bottom), (right, bottom)]);
        text(&mut svg, (left, 22.0), "start", &format!("{}: {}", self.title, self.y));
        text(&mut svg, (f64::midpoint(left, right), bottom + 42.0), "middle", self.x);
        let mut labels: Vec<f64> = Vec::new();
        for (n, (name, points)) in self.lines.iter().enumerate() {
            let points: Vec<_> = points.iter().map(at).collect();
            let colour = COLOURS[n % COLOURS.len()];
            line(&mut svg, &format!("stroke=\"{colour}\" stroke-width=\"2\""), &points);
            for (px, py) in &points {
                let _ = writeln!(
                    svg,
                    "<circle cx=\"{px:.1}\" cy=\"{py:.1}\" r=\"3\" fill=\"{colour}\"/>"
                );
            }
            let end = points.last().expect("a point");
            // Names do not lie on each other, though lines may.
            let mut label = end.1 + 4.0;
            while labels.iter().any(|other| (other - label).abs() < 14.0) {
                label += 14.0;
            }
            labels.push(label);
            text(&mut svg, (end.0 + 10.0, label), "start", name);
        }
        svg + "</svg>\n"
    }
}

fn line(svg: &mut String, style: &str, points: &[(f64, f64)]) {
    let points: String =
        points.iter().fold(String::new(), |text, (x, y)| text + &format!("{x:.1},{y:.1} "));
    let _ = writeln!(svg, "<polyline fill=\"none\" {style} points=\"{}\"/>", points.trim_end());
}

fn text(svg: &mut String, (x, y): (f64, f64), anchor: &str, text: &str) {
    let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>");
}

/// A logarithmic scale.
struct Scale {
    min: f64,
    max: f64,
}

impl Scale {
    /// From a round figure below all values to one above them.
    fn of(values: impl Iterator<Item = f64> + Clone) -> Self {
        let min = values.clone().fold(f64::INFINITY, f64::min);
        let max = values.fold(0.0, f64::max);
        let below = |value: f64| round_figures(value).take_while(|figure| *figure <= value).last();
        let above = |value: f64| round_figures(value).find(|figure| *figure > value);
        Self { min: below(min).expect("one below"), max: above(max).expect("one above") }
    }

    fn at(&self, value: f64) -> f64 {
        (value / self.min).ln() / (self.max / self.min).ln()
    }

    fn ticks(&self) -> impl Iterator<Item = f64> + use<> {
        let max = self.max * 1.001;
        let decades = (self.max / self.min).log10();
        let ticks = round_figures(self.min).skip_while({
            let min = self.min * 0.999;
            move |tick| *tick < min
        });
        // Of a long scale only the powers of ten.
        let is_shown =
            move |tick: &f64| decades < 3.5 || (tick.log10() - tick.log10().round()).abs() < 0.01;
        ticks.take_while(move |tick| *tick <= max).filter(is_shown)
    }
}

/// 1, 2 and 5 times the powers of ten, from the power below this value on.
fn round_figures(value: f64) -> impl Iterator<Item = f64> + use<> {
    let first = value.log10().floor() as i32;
    (first..).flat_map(|power| [1.0, 2.0, 5.0].map(|digit| digit * 10_f64.powi(power)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_end_at_round_figures_and_have_ticks_between() {
        let scale = Scale::of([130.0, 900.0].into_iter());

        assert_eq!(scale.ticks().map(figure).collect::<Vec<_>>(), ["100", "200", "500", "1000"]);
        assert!(scale.at(100.0).abs() < 1e-9 && (scale.at(1000.0) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn a_cost_that_does_not_grow_has_a_scale_too() {
        let scale = Scale::of([10.0, 10.0].into_iter());

        assert!(scale.min < scale.max);
    }
}
