//! What is best for what it costs.

/// The points (cost, value), the dearest last, that no other one is at least as good as at no more cost,
/// where more value is better: the Pareto front. Of equal points one is kept; what is not finite is none.
pub(super) fn front(points: &[(f64, f64)]) -> Vec<usize> {
    let finite = |&place: &usize| {
        let (cost, value) = points[place];
        cost.is_finite() && value.is_finite()
    };
    let mut order: Vec<usize> = (0..points.len()).filter(finite).collect();
    order.sort_by(|&a, &b| {
        let ((a_cost, a_value), (b_cost, b_value)) = (points[a], points[b]);
        a_cost
            .total_cmp(&b_cost)
            .then(b_value.total_cmp(&a_value))
            .then(a.cmp(&b))
    });
    let mut best = f64::NEG_INFINITY;
    order.retain(|&place| {
        let better = points[place].1 > best;
        best = best.max(points[place].1);
        better
    });
    order
}

/// The corners of the line between a front's points: level up to the next cost, then up; level at the end up
/// to `last`.
pub(super) fn steps(front: &[(f64, f64)], last: f64) -> Vec<(f64, f64)> {
    let mut corners = Vec::new();
    for (place, &(cost, value)) in front.iter().enumerate() {
        corners.push((cost, value));
        let next = front.get(place + 1).map_or(last, |next| next.0);
        corners.push((next, value));
    }
    corners
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_beaten_at_no_more_cost_is_not_on_the_front() {
        let points = [
            (3.0, 70.0),
            (1.0, 60.0),
            (1.0, 62.0),
            (2.0, 61.0),
            (4.0, 70.0),
            (5.0, 71.0),
            (f64::NAN, 99.0),
            (0.5, f64::NAN),
        ];
        assert_eq!(front(&points), [2, 0, 5]);
        assert!(front(&[]).is_empty());
    }

    #[test]
    fn a_point_beats_no_equal_one_twice() {
        assert_eq!(front(&[(1.0, 5.0), (1.0, 5.0)]), [0]);
    }

    #[test]
    fn the_line_is_level_until_more_is_paid() {
        assert_eq!(
            steps(&[(1.0, 60.0), (3.0, 70.0)], 4.0),
            [(1.0, 60.0), (3.0, 60.0), (3.0, 70.0), (4.0, 70.0)]
        );
    }
}
