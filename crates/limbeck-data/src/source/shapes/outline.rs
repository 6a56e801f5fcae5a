//! The ten outlines, as signed distances in units of the object's radius.

/// A class of the generated set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outline {
    Disc,
    Ring,
    Square,
    Hexagon,
    Triangle,
    Star,
    Cross,
    Crescent,
    Heart,
    Arrow,
}

/// Cosine and sine of 30 degrees: half the angle between neighbouring corners of a hexagon.
const COS30: f32 = 0.866_025_4;
const SIN30: f32 = 0.5;

impl Outline {
    /// In the order of their labels.
    pub(crate) const ALL: [Self; 10] = [
        Self::Disc,
        Self::Ring,
        Self::Square,
        Self::Hexagon,
        Self::Triangle,
        Self::Star,
        Self::Cross,
        Self::Crescent,
        Self::Heart,
        Self::Arrow,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Disc => "disc",
            Self::Ring => "ring",
            Self::Square => "square",
            Self::Hexagon => "hexagon",
            Self::Triangle => "triangle",
            Self::Star => "star",
            Self::Cross => "cross",
            Self::Crescent => "crescent",
            Self::Heart => "heart",
            Self::Arrow => "arrow",
        }
    }

    /// Signed distance from the outline, negative inside; exact or a little less than exact. All
    /// outlines lie within a circle of radius 1.1 around the origin.
    pub(crate) fn distance(self, x: f32, y: f32) -> f32 {
        match self {
            Self::Disc => length(x, y) - 0.88,
            Self::Ring => (length(x, y) - 0.72).abs() - 0.24,
            Self::Square => x.abs().max(y.abs()) - 0.78,
            Self::Hexagon => y.abs().max(COS30 * x.abs() + SIN30 * y.abs()) - 0.82,
            Self::Triangle => y.max(COS30 * x.abs() - SIN30 * y) - 0.53,
            Self::Star => star(x, y),
            Self::Cross => {
                let (x, y) = (x.abs(), y.abs());
                (x.max(y) - 1.0).max(x.min(y) - 0.3)
            }
            Self::Crescent => (length(x, y) - 0.95).max(0.75 - length(x - 0.45, y)),
            Self::Heart => heart(x, y),
            Self::Arrow => {
                let shaft = (x.abs() - 0.25).max((y - 0.4).abs() - 0.6);
                let head = y.max(0.8 * x.abs() - 0.6 * y - 0.6);
                shaft.min(head)
            }
        }
    }
}

/// Distance from the origin. `hypot` guards against overflow, which cannot happen here, and takes
/// several times as long.
fn length(x: f32, y: f32) -> f32 {
    (x * x + y * y).sqrt()
}

/// A five-pointed star with corners at radius 1.1 and notches at radius 0.45.
fn star(x: f32, y: f32) -> f32 {
    const TENTH: f32 = std::f32::consts::PI / 5.0;
    let radius = length(x, y);
    // All ten edges are mirror images of the one from the corner at angle 0 to the first notch.
    let turns = y.atan2(x) / (2.0 * TENTH);
    let angle = (turns - turns.round()).abs() * 2.0 * TENTH;
    let (x, y) = (radius * angle.cos(), radius * angle.sin());
    let (edge_x, edge_y) = (0.45 * TENTH.cos() - 1.1, 0.45 * TENTH.sin());
    (edge_y * (x - 1.1) - edge_x * y) / length(edge_x, edge_y)
}

/// A square that stands on a corner, with half discs on its two upper sides.
fn heart(x: f32, y: f32) -> f32 {
    let half = 0.55;
    let y = y - 0.1;
    let diagonal = std::f32::consts::FRAC_1_SQRT_2;
    let (u, v) = ((x + y) * diagonal, (y - x) * diagonal);
    let square = u.abs().max(v.abs()) - half;
    let left = length(u + half, v) - half;
    let right = length(u, v + half) - half;
    square.min(left).min(right)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: f32 = 0.02;

    fn grid() -> impl Iterator<Item = (f32, f32)> {
        (-75..=75).flat_map(|y| (-75..=75).map(move |x| (x as f32 * STEP, y as f32 * STEP)))
    }

    #[test]
    fn every_outline_lies_within_its_circle_and_fills_a_good_part_of_it() {
        for outline in Outline::ALL {
            let inside: Vec<(f32, f32)> = grid()
                .filter(|&(x, y)| outline.distance(x, y) < 0.0)
                .collect();
            let farthest = inside.iter().map(|(x, y)| x.hypot(*y)).fold(0.0, f32::max);
            assert!(farthest < 1.13, "{outline:?} reaches to {farthest}");
            let area = inside.len() as f32 * STEP * STEP;
            assert!((0.9..3.0).contains(&area), "{outline:?} has area {area}");
        }
    }

    #[test]
    fn distances_never_change_faster_than_the_place() {
        for outline in Outline::ALL {
            for (x, y) in grid().step_by(7) {
                let here = outline.distance(x, y);
                for (dx, dy) in [(STEP, 0.0), (0.0, STEP)] {
                    let change = (outline.distance(x + dx, y + dy) - here).abs();
                    assert!(change < 1.05 * STEP, "{outline:?} at {x} {y}: {change}");
                }
            }
        }
    }

    #[test]
    fn no_two_outlines_cover_the_same_places() {
        for (number, one) in Outline::ALL.iter().enumerate() {
            for other in &Outline::ALL[number + 1..] {
                let differing = grid()
                    .filter(|&(x, y)| (one.distance(x, y) < 0.0) != (other.distance(x, y) < 0.0))
                    .count();
                assert!(
                    differing as f32 * STEP * STEP > 0.1,
                    "{one:?} and {other:?}"
                );
            }
        }
    }
}
