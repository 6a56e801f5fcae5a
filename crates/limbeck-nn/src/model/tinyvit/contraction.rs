//! What the search for a smaller net of the family may choose from.
//!
//! Wu et al. "TinyViT". ECCV 2022, section 3.2: starting from a large net, each step lowers some
//! factors and keeps the candidate that learns best among those inside the limits.

use super::TinyVitFactors;

/// Channels by which the first stage's width is lowered. It has no heads to divide it.
const FIRST_WIDTH_STEP: usize = 8;
/// By how much the ratios of bottlenecks and perceptrons are lowered.
const RATIO_STEP: f64 = 0.5;
/// Least ratio: an inner layer is not narrower than what it reads.
const LEAST_RATIO: f64 = 1.0;
/// In what steps the width of a head rises. Wider heads are fewer, with fewer scores.
const HEAD_STEP: usize = 8;
/// Into how many parts a width is divided when all four are lowered together.
const SHARES: usize = 32;

/// What is known of a network.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measures {
    /// Trained numbers.
    pub parameters: u64,
    /// Multiply-accumulates for one image.
    pub macs: u64,
    /// Images a second, where that was measured.
    pub images_per_second: Option<f64>,
}

/// What a network is to keep to; `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Limits {
    /// Trained numbers at the most.
    pub most_parameters: Option<u64>,
    /// Multiply-accumulates for one image at the most.
    pub most_macs: Option<u64>,
    /// Multiply-accumulates for one image at the least.
    pub least_macs: Option<u64>,
    /// Images a second at the least; a network that was not measured passes.
    pub least_images_per_second: Option<f64>,
}

impl Limits {
    /// Whether a network keeps to all of them.
    pub fn allow(&self, measures: &Measures) -> bool {
        self.most_parameters
            .is_none_or(|most| measures.parameters <= most)
            && self.most_macs.is_none_or(|most| measures.macs <= most)
            && self.least_macs.is_none_or(|least| measures.macs >= least)
            && self.least_images_per_second.is_none_or(|least| {
                measures
                    .images_per_second
                    .is_none_or(|speed| speed >= least)
            })
    }

    /// The limits of step `step` of `steps`, counted from 1, on the way from a network with
    /// `base`: each step takes the same share of what is left, the last ends at `self`. A limit
    /// that the base keeps to stands from the first step on.
    pub fn of_step(&self, base: &Measures, step: usize, steps: usize) -> Self {
        let share = step as f64 / steps.max(1) as f64;
        let between = |from: f64, to: f64| from * (to / from).powf(share);
        let lowered = |from: u64, to: u64| match step < steps && from > to && to > 0 {
            true => between(from as f64, to as f64).round() as u64,
            false => to,
        };
        Self {
            most_parameters: self.most_parameters.map(|to| lowered(base.parameters, to)),
            most_macs: self.most_macs.map(|to| lowered(base.macs, to)),
            least_macs: self.least_macs,
            least_images_per_second: self.least_images_per_second.map(|to| {
                match base.images_per_second {
                    Some(from) if from < to && from > 0.0 => between(from, to),
                    _ => to,
                }
            }),
        }
    }
}

/// The nearest nets below `base` that `fits` accepts: for each factor that net which lowers this
/// one alone by as little as possible, and the one that lowers all four widths by the same share.
/// A factor that cannot be lowered far enough has none. None is named twice.
pub fn neighbours(
    base: &TinyVitFactors,
    mut fits: impl FnMut(&TinyVitFactors) -> bool,
) -> Vec<TinyVitFactors> {
    let mut found: Vec<TinyVitFactors> = Vec::new();
    for way in ways(base) {
        let next = way.into_iter().find(|candidate| fits(candidate));
        if let Some(next) = next.filter(|next| !found.contains(next)) {
            found.push(next);
        }
    }
    found
}

/// For each factor the nets that lower it alone, from the nearest on.
fn ways(base: &TinyVitFactors) -> Vec<Vec<TinyVitFactors>> {
    let mut ways = Vec::new();
    for stage in 0..4 {
        ways.push(lower_width(base, stage));
    }
    for stage in 0..4 {
        let depths = (1..base.depths[stage]).rev();
        ways.push(
            depths
                .map(|depth| with(base, |net| net.depths[stage] = depth))
                .collect(),
        );
    }
    for stage in 0..3 {
        let halves = std::iter::successors(Some(base.windows[stage]), |&window| {
            (window > 1).then(|| window.div_ceil(2))
        });
        let windows = halves.skip(1);
        ways.push(
            windows
                .map(|window| with(base, |net| net.windows[stage] = window))
                .collect(),
        );
    }
    ways.push(
        ratios(base.expansion)
            .map(|ratio| with(base, |net| net.expansion = ratio))
            .collect(),
    );
    ways.push(
        ratios(base.mlp)
            .map(|ratio| with(base, |net| net.mlp = ratio))
            .collect(),
    );
    let heads = (1..).map(|step| base.head + step * HEAD_STEP);
    ways.push(
        heads
            .take_while(|&head| head <= 2 * base.head)
            .map(|head| with(base, |net| net.head = head))
            .filter(|net| net.config().is_ok())
            .collect(),
    );
    ways.push(lower_all_widths(base));
    ways
}

fn with(base: &TinyVitFactors, change: impl FnOnce(&mut TinyVitFactors)) -> TinyVitFactors {
    let mut net = *base;
    change(&mut net);
    net
}

fn ratios(from: f64) -> impl Iterator<Item = f64> {
    let below = (1..).map(move |step| from - f64::from(step) * RATIO_STEP);
    below.take_while(|&ratio| ratio >= LEAST_RATIO)
}

/// What the width of `stage` is a multiple of.
fn width_step(base: &TinyVitFactors, stage: usize) -> usize {
    match stage {
        0 => FIRST_WIDTH_STEP,
        _ => base.head,
    }
}

/// Narrower, but not narrower than the stage before.
fn lower_width(base: &TinyVitFactors, stage: usize) -> Vec<TinyVitFactors> {
    let step = width_step(base, stage);
    let least = match stage {
        0 => step,
        _ => step.max(base.widths[stage - 1]),
    };
    (1..)
        .map_while(|count| base.widths[stage].checked_sub(count * step))
        .take_while(|&width| width >= least)
        .map(|width| with(base, |net| net.widths[stage] = width))
        .collect()
}

fn lower_all_widths(base: &TinyVitFactors) -> Vec<TinyVitFactors> {
    let lowered = (1..SHARES).rev().map(|share| {
        with(base, |net| {
            for (stage, width) in net.widths.iter_mut().enumerate() {
                let step = width_step(base, stage);
                *width = (*width * share / SHARES / step).max(1) * step;
            }
        })
    });
    lowered
        .filter(|net| {
            net.widths
                .iter()
                .zip(&base.widths)
                .all(|(new, old)| new <= old)
        })
        .filter(|net| net != base)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: TinyVitFactors = TinyVitFactors {
        widths: [96, 192, 384, 576],
        depths: [2, 2, 6, 2],
        windows: [7, 14, 7],
        head: 32,
        expansion: 4.0,
        mlp: 4.0,
        drop_path: 0.0,
    };

    #[test]
    fn the_nearest_neighbours_lower_one_factor_by_one_step_or_all_widths() {
        let found = neighbours(&BASE, |_| true);
        assert_eq!(found.len(), 15);
        for net in &found {
            assert!(net.config().is_ok(), "{net}");
        }
        let count =
            |changed: fn(&TinyVitFactors) -> bool| found.iter().filter(|net| changed(net)).count();
        assert_eq!(count(|net| net.widths != BASE.widths), 5);
        assert_eq!(count(|net| net.depths != BASE.depths), 4);
        assert_eq!(count(|net| net.windows != BASE.windows), 3);
        assert_eq!(count(|net| net.head != BASE.head), 1);
        assert!(found.iter().any(|net| net.mlp == 3.5));
    }

    #[test]
    fn a_factor_is_lowered_as_far_as_needed_and_no_further() {
        let found = neighbours(&BASE, |net| net.widths[3] <= 448 || net.depths[2] <= 3);
        let depths: Vec<usize> = found.iter().map(|net| net.depths[2]).collect();
        assert!(depths.contains(&3) && !depths.iter().any(|&depth| depth < 3));
        assert!(found.iter().any(|net| net.widths == [96, 192, 384, 448]));
        assert!(
            found.iter().all(|net| net.mlp == 4.0),
            "that alone does not do"
        );
    }

    #[test]
    fn limits_are_reached_in_equal_shares() {
        let base = Measures {
            parameters: 16_000,
            macs: 100,
            images_per_second: Some(10.0),
        };
        let limits = Limits {
            most_parameters: Some(1_000),
            most_macs: Some(200),
            least_images_per_second: Some(40.0),
            ..Limits::default()
        };
        let half = limits.of_step(&base, 1, 2);
        assert_eq!(half.most_parameters, Some(4_000));
        assert_eq!(half.most_macs, Some(200));
        assert!((half.least_images_per_second.unwrap() - 20.0).abs() < 1e-9);
        assert_eq!(limits.of_step(&base, 2, 2).most_parameters, Some(1_000));
    }

    #[test]
    fn the_smallest_net_has_no_neighbours() {
        let smallest = TinyVitFactors {
            widths: [8, 8, 8, 8],
            depths: [1; 4],
            windows: [1; 3],
            head: 8,
            expansion: 1.0,
            mlp: 1.0,
            drop_path: 0.0,
        };
        let found = neighbours(&smallest, |net| net.head == smallest.head);
        assert!(found.is_empty(), "{found:?}");
    }
}
