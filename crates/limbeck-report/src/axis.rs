//! An axis of a chart: the range it covers and the values that are labelled.

use super::numbers::{fixed, significant};

/// Beyond this, a value is not drawn: sums and differences of such numbers say nothing.
const LARGEST: f64 = 1e12;

/// An axis of a chart.
#[derive(Clone, Debug)]
pub struct Axis {
    /// First and last value, in the chart's coordinates (see [`Axis::place`]).
    pub range: (f64, f64),
    /// Labelled places, in the chart's coordinates.
    pub ticks: Vec<(f64, String)>,
    /// Whether a line is drawn through each tick.
    pub grid: bool,
    logarithmic: bool,
}

impl Axis {
    /// Covers all drawable values with a little room; about `ticks` labels at round numbers.
    pub fn covering(values: impl IntoIterator<Item = f64>, ticks: usize) -> Option<Self> {
        let (low, high) = extent(values)?;
        let room = if high > low {
            (high - low) * 0.06
        } else {
            (low.abs() * 0.05).max(0.5)
        };
        Some(Self::linear(low - room, high + room, ticks, 0.0))
    }

    /// Like [`Axis::covering`], without the lowest values where those are few and take up more
    /// than half of the range, such as the accuracies of the first epochs. The second value tells
    /// whether there are any.
    pub fn covering_most(values: &[f64], ticks: usize) -> Option<(Self, bool)> {
        let (low, high) = extent(values.iter().copied())?;
        let mut sorted: Vec<f64> = values.iter().copied().filter(|v| drawable(*v)).collect();
        sorted.sort_by(f64::total_cmp);
        let kept = sorted.get(sorted.len() * 3 / 20).copied().unwrap_or(low);
        let cut = high > low && kept - low > (high - low) / 2.0;
        let axis = Self::covering([if cut { kept } else { low }, high], ticks)?;
        Some((axis, cut))
    }

    /// From `low` to `high`, exactly.
    pub fn between(low: f64, high: f64, ticks: usize) -> Self {
        Self::linear(low, high, ticks, 0.0)
    }

    /// Covers whole numbers; only whole numbers are labelled.
    pub fn whole_numbers(first: usize, last: usize, ticks: usize) -> Self {
        let (low, high) = (first as f64, last as f64);
        let room = if last > first { 0.0 } else { 0.5 };
        Self::linear(low - room, high + room, ticks, 1.0)
    }

    /// Like [`Axis::covering`], on a logarithmic scale where all values are positive and the
    /// largest is more than thirty times the smallest.
    pub fn covering_magnitudes(values: &[f64], ticks: usize) -> Option<Self> {
        Self::covering_beyond(30.0, values, ticks, &[&[1.0, 3.0]])
    }

    /// Like [`Axis::covering`], on a logarithmic scale where all values are positive and the
    /// largest is more than eight times the smallest: for what is said in multiples.
    pub fn covering_multiples(values: &[f64], ticks: usize) -> Option<Self> {
        Self::covering_beyond(8.0, values, ticks, &[&[1.0, 2.0, 5.0], &[1.0, 3.0]])
    }

    /// On a logarithmic scale where the largest is more than `ratio` times the smallest, labelled at the
    /// first of `factors` times powers of ten that give few enough labels, else at powers of ten.
    fn covering_beyond(
        ratio: f64,
        values: &[f64],
        ticks: usize,
        factors: &[&[f64]],
    ) -> Option<Self> {
        let (low, high) = extent(values.iter().copied())?;
        if low <= 0.0 || high / low < ratio {
            return Self::covering(values.iter().copied(), ticks);
        }
        let (from, to) = (low.log10() - 0.05, high.log10() + 0.05);
        let decades = from.floor() as i32..=to.ceil() as i32;
        let labelled = |factors: &[f64]| -> Vec<(f64, String)> {
            decades
                .clone()
                .flat_map(|decade| factors.iter().map(move |f| f * 10f64.powi(decade)))
                .filter(|value| (from..=to).contains(&value.log10()))
                .map(|value| (value.log10(), short(value)))
                .collect()
        };
        let few = factors
            .iter()
            .map(|factors| labelled(factors))
            .find(|marks| marks.len() <= ticks + 2);
        let marks = few.unwrap_or_else(|| {
            let marks = labelled(&[1.0]);
            let every = marks.len().div_ceil(ticks.max(1));
            marks.into_iter().step_by(every).collect()
        });
        Some(Self {
            range: (from, to),
            ticks: marks,
            grid: true,
            logarithmic: true,
        })
    }

    /// One labelled row for each name, the first at the top (place 0) of a vertical axis.
    pub fn rows(names: Vec<String>) -> Self {
        let rows = names.len() as f64;
        Self {
            range: (rows - 0.4, -0.6),
            ticks: names
                .into_iter()
                .enumerate()
                .map(|(row, name)| (row as f64, name))
                .collect(),
            grid: false,
            logarithmic: false,
        }
    }

    /// Where a value lies in the chart's coordinates; `None` if it cannot be drawn.
    pub fn place(&self, value: f64) -> Option<f64> {
        if !drawable(value) || (self.logarithmic && value <= 0.0) {
            None
        } else if self.logarithmic {
            Some(value.log10())
        } else {
            Some(value)
        }
    }

    /// The values at the first and the last end.
    pub fn ends(&self) -> (f64, f64) {
        let value = |place: f64| match self.logarithmic {
            true => 10f64.powf(place),
            false => place,
        };
        (value(self.range.0), value(self.range.1))
    }

    fn linear(low: f64, high: f64, ticks: usize, smallest_step: f64) -> Self {
        let step = round_step((high - low) / ticks.max(1) as f64).max(smallest_step);
        let decimals = (-step.log10().floor()).clamp(0.0, 9.0) as usize;
        let first = (low / step - 1e-9).ceil();
        let labels = (0..=2 * ticks + 2)
            .map(|number| (first + number as f64) * step)
            .take_while(|value| *value <= high + step * 1e-9)
            .map(|value| (value, fixed(value, decimals)))
            .collect();
        Self {
            range: (low, high),
            ticks: labels,
            grid: true,
            logarithmic: false,
        }
    }
}

/// Smallest and largest of the values that can be drawn.
fn extent(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    values
        .into_iter()
        .filter(|value| drawable(*value))
        .fold(None, |extent, value| match extent {
            None => Some((value, value)),
            Some((low, high)) => Some((f64::min(low, value), f64::max(high, value))),
        })
}

fn drawable(value: f64) -> bool {
    value.abs() < LARGEST
}

/// The first of 1, 2, 5 times a power of ten that is not much smaller than `step`.
fn round_step(step: f64) -> f64 {
    if !(step > 0.0 && step.is_finite()) {
        return 1.0;
    }
    let power = 10f64.powf(step.log10().floor());
    [1.0, 2.0, 5.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|candidate| *candidate >= step * 0.7)
        .unwrap_or(10.0 * power)
}

/// A power of ten or three times one, without needless zeros.
fn short(value: f64) -> String {
    let text = significant(value);
    match text.split_once('.') {
        Some(_) => text.trim_end_matches('0').trim_end_matches('.').into(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, label)| label.as_str()).collect()
    }

    #[test]
    fn ticks_are_round_numbers_inside_the_range() {
        let axis = Axis::covering([61.2, 78.9], 5).unwrap();
        assert_eq!(labels(&axis), ["65", "70", "75"]);
        let axis = Axis::between(0.0, 1.0, 5);
        assert_eq!(labels(&axis), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
    }

    #[test]
    fn epochs_are_labelled_at_whole_numbers_only() {
        assert_eq!(labels(&Axis::whole_numbers(1, 3, 6)), ["1", "2", "3"]);
        assert_eq!(labels(&Axis::whole_numbers(1, 1, 6)), ["1"]);
        assert_eq!(
            labels(&Axis::whole_numbers(1, 240, 6)),
            ["50", "100", "150", "200"]
        );
    }

    #[test]
    fn a_few_low_values_are_left_out_where_they_would_take_up_the_chart() {
        let mut values: Vec<f64> = (0..20).map(|epoch| 80.0 + f64::from(epoch) / 2.0).collect();
        let (axis, cut) = Axis::covering_most(&values, 5).unwrap();
        assert!(!cut && axis.range.0 < 80.0);
        values[0] = 10.0;
        values[1] = 40.0;
        let (axis, cut) = Axis::covering_most(&values, 5).unwrap();
        assert!(cut && axis.range.0 > 79.0, "{axis:?}");
    }

    #[test]
    fn values_that_cannot_be_drawn_have_no_axis() {
        assert!(Axis::covering([f64::NAN, f64::INFINITY, 1e300], 5).is_none());
        assert!(Axis::covering([f64::NAN, 2.0], 5).is_some());
    }

    #[test]
    fn wide_ranges_of_positive_values_are_logarithmic() {
        let axis = Axis::covering_magnitudes(&[0.02, 9.0], 5).unwrap();
        assert_eq!(axis.place(10.0), Some(1.0));
        assert_eq!(axis.place(0.0), None);
        assert_eq!(labels(&axis), ["0.03", "0.1", "0.3", "1", "3", "10"]);
        let narrow = Axis::covering_magnitudes(&[0.5, 9.0], 5).unwrap();
        assert_eq!(narrow.place(5.0), Some(5.0));
        let multiples = Axis::covering_multiples(&[0.9, 12.0], 5).unwrap();
        assert_eq!(labels(&multiples), ["1", "2", "5", "10"]);
        let narrow = Axis::covering_multiples(&[1.0, 7.9], 5).unwrap();
        assert_eq!(narrow.place(5.0), Some(5.0));
    }
}
