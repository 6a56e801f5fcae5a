//! Pieces of a line that can be drawn: broken where a value is not finite, cut off at the lower
//! and upper edge of the chart.

type Point = (f64, f64);

/// The drawable pieces of a line through `points` (`None`: cannot be drawn) between the heights
/// `low` and `high`.
pub fn segments(points: &[Option<Point>], (low, high): (f64, f64)) -> Vec<Vec<Point>> {
    let mut pieces: Vec<Vec<Point>> = Vec::new();
    let mut piece: Vec<Point> = Vec::new();
    for pair in points.windows(2) {
        let part = match pair {
            [Some(from), Some(to)] => between(*from, *to, low, high),
            _ => None,
        };
        let Some((from, to)) = part else {
            pieces.push(std::mem::take(&mut piece));
            continue;
        };
        if piece.last() != Some(&from) {
            pieces.push(std::mem::take(&mut piece));
            piece.push(from);
        }
        piece.push(to);
    }
    pieces.push(piece);
    pieces.retain(|piece| piece.len() > 1);
    pieces
}

/// The part of a straight line that lies between two heights.
fn between(from: Point, to: Point, low: f64, high: f64) -> Option<(Point, Point)> {
    let rise = to.1 - from.1;
    if rise == 0.0 {
        return (low..=high).contains(&from.1).then_some((from, to));
    }
    // Shares of the way from `from` to `to` at which the line crosses both heights.
    let (one, two) = ((low - from.1) / rise, (high - from.1) / rise);
    let (enter, leave) = (one.min(two).max(0.0), one.max(two).min(1.0));
    if enter >= leave {
        return None;
    }
    let at = |share: f64| match share {
        0.0 => from,
        1.0 => to,
        _ => (from.0 + share * (to.0 - from.0), from.1 + share * rise),
    };
    Some((at(enter), at(leave)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_broken_where_a_point_is_missing() {
        let points = [
            Some((0.0, 1.0)),
            Some((1.0, 2.0)),
            None,
            Some((3.0, 1.0)),
            Some((4.0, 2.0)),
            None,
            Some((6.0, 1.0)),
        ];
        let pieces = segments(&points, (0.0, 10.0));
        assert_eq!(
            pieces,
            [vec![(0.0, 1.0), (1.0, 2.0)], vec![(3.0, 1.0), (4.0, 2.0)]]
        );
    }

    #[test]
    fn a_line_is_cut_where_it_leaves_the_chart() {
        let points = [(0.0, -2.0), (1.0, 2.0), (2.0, 6.0), (3.0, 2.0)].map(Some);
        let pieces = segments(&points, (0.0, 4.0));
        assert_eq!(
            pieces,
            [
                vec![(0.5, 0.0), (1.0, 2.0), (1.5, 4.0)],
                vec![(2.5, 4.0), (3.0, 2.0)]
            ]
        );
    }

    #[test]
    fn what_lies_outside_is_left_out() {
        assert!(segments(&[Some((0.0, 5.0)), Some((1.0, 6.0))], (0.0, 4.0)).is_empty());
        assert!(segments(&[Some((0.0, 5.0))], (0.0, 4.0)).is_empty());
        assert!(segments(&[], (0.0, 4.0)).is_empty());
    }
}
