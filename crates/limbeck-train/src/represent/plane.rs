//! Embeddings in a plane: the one in which they vary most.
//!
//! It is exact, needs no setting, and says how much it holds. Maps that keep neighbours together, such as
//! t-SNE's, show groups that are not there, and the crates that make them add up in an order that depends
//! on the number of threads, so that the same run would draw another picture.

use limbeck_report::Plane;
use nalgebra::{DMatrix, SymmetricEigen};

use super::Embeddings;

/// The unit vectors of `embeddings`, less their mean, along their two first principal components. Of a
/// component and its opposite the one is taken whose farthest image is on the positive side.
pub fn plane_of(embeddings: &Embeddings) -> Plane {
    let (count, width) = (embeddings.len(), embeddings.width);
    let nowhere = Plane {
        points: vec![[0.0; 2]; count],
        share: 0.0,
    };
    if count < 2 || width == 0 {
        return nowhere;
    }
    let unit = embeddings.unit();
    let mut rows = DMatrix::from_fn(count, width, |image, place| {
        f64::from(unit.values[image * width + place])
    });
    for mut column in rows.column_iter_mut() {
        let mean = column.sum() / count as f64;
        column.add_scalar_mut(-mean);
    }
    // Of the two products of the rows the smaller: both have the same values above zero.
    let of_images = count <= width;
    let product = match of_images {
        true => &rows * rows.transpose(),
        false => rows.transpose() * &rows,
    };
    let SymmetricEigen {
        eigenvalues,
        eigenvectors,
    } = SymmetricEigen::new(product);
    let variance: f64 = eigenvalues.iter().map(|value| value.max(0.0)).sum();
    if variance.is_nan() || variance <= 0.0 {
        return nowhere;
    }
    let mut order: Vec<usize> = (0..eigenvalues.len()).collect();
    order.sort_by(|&a, &b| eigenvalues[b].total_cmp(&eigenvalues[a]).then(a.cmp(&b)));
    let mut points = vec![[0.0f32; 2]; count];
    let mut held = 0.0;
    for (axis, &component) in order.iter().take(2).enumerate() {
        let value = eigenvalues[component].max(0.0);
        held += value;
        let vector = eigenvectors.column(component);
        let places = match of_images {
            true => vector * value.sqrt(),
            false => &rows * vector,
        };
        let farthest =
            places.iter().fold(
                0.0f64,
                |far, &place| if place.abs() > far.abs() { place } else { far },
            );
        for (point, place) in points.iter_mut().zip(places.iter()) {
            point[axis] = (place * farthest.signum()) as f32;
        }
    }
    Plane {
        points,
        share: 100.0 * held / variance,
    }
}

#[cfg(test)]
mod tests {
    use limbeck_data::Stream;

    use super::*;

    fn embeddings(width: usize, values: Vec<f32>) -> Embeddings {
        Embeddings {
            width,
            values,
            labels: Vec::new(),
        }
    }

    /// Unit vectors near a plane of a space of `width` dimensions, and their places in it.
    fn made(count: usize, width: usize) -> (Embeddings, Vec<[f64; 2]>) {
        let mut stream = Stream::of_seed(3);
        let mut values = Vec::new();
        let mut places = Vec::new();
        for _ in 0..count {
            let (x, y) = (stream.uniform(-0.6, 0.6), stream.uniform(-0.3, 0.3));
            let mut row = vec![0.0; width];
            row[0] = (1.0 - x * x - y * y).sqrt() as f32;
            (row[1], row[2]) = (x as f32, y as f32);
            values.extend(row);
            places.push([x, y]);
        }
        (embeddings(width, values), places)
    }

    #[test]
    fn distances_in_the_plane_are_those_of_the_embeddings_where_these_lie_in_it() {
        // More images than numbers, and fewer.
        for (count, width) in [(40, 5), (12, 30)] {
            let (embeddings, places) = made(count, width);
            let Plane { points, share } = plane_of(&embeddings);
            assert!(share > 95.0 && share < 100.0, "{share}");
            for (i, j) in [(0, 1), (2, 9), (5, 7)] {
                let away = |a: [f64; 2], b: [f64; 2]| (a[0] - b[0]).hypot(a[1] - b[1]);
                let point = |at: usize| points[at].map(f64::from);
                let (found, right) = (away(point(i), point(j)), away(places[i], places[j]));
                assert!((found - right).abs() < 0.12, "{found} {right}");
            }
            let far = |axis: usize| {
                let all = points.iter().map(|point| point[axis]);
                all.fold(
                    0.0f32,
                    |far, place| if place.abs() > far.abs() { place } else { far },
                )
            };
            assert!(far(0) > 0.0 && far(1) > 0.0);
            let spread = |axis: usize| points.iter().map(|point| point[axis].powi(2)).sum::<f32>();
            assert!(spread(0) > spread(1));
        }
    }

    #[test]
    fn what_does_not_vary_lies_in_one_place() {
        let alike = plane_of(&embeddings(2, vec![3.0, 4.0, 6.0, 8.0, 0.3, 0.4]));
        assert!(
            alike
                .points
                .iter()
                .flatten()
                .all(|place| place.abs() < 1e-6)
        );
        assert_eq!(plane_of(&embeddings(2, vec![1.0, 0.0])).points, [[0.0; 2]]);
        assert_eq!(plane_of(&Embeddings::default()), Plane::default());
    }
}
