//! Bicubic resampling gives what PyTorch gives.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests end by panicking"
)]

use limbeck_nn::weights::resize_bicubic;

fn assert_close(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-14, "{found} {expected}");
    }
}

/// Row i, column j: (7i + 3j) mod 5 + i/4 − j/2.
fn grid(rows: usize, columns: usize) -> Vec<f64> {
    (0..rows * columns)
        .map(|n| {
            let (i, j) = (n / columns, n % columns);
            ((7 * i + 3 * j) % 5) as f64 + 0.25 * i as f64 - 0.5 * j as f64
        })
        .collect()
}

#[test]
fn the_same_size_changes_nothing() {
    assert_close(&resize_bicubic(&grid(3, 4), [3, 4], [3, 4]), &grid(3, 4));
}

#[test]
fn constants_stay_constant() {
    for to in [[1, 1], [2, 7], [20, 3]] {
        assert_close(
            &resize_bicubic(&[2.5; 30], [5, 6], to),
            &vec![2.5; to[0] * to[1]],
        );
    }
}

#[test]
fn two_cells_stretched_to_four_by_hand() {
    // The first centre is at 1/4: Keys' kernel gives 111/128 at distance 1/4 and −9/128 at 5/4, so
    // the right cell's share is −9/102. The second centre is at 3/4: kernel at 1/4 and 3/4.
    let near = 111.0 / 128.0;
    let middle = 29.0 / 128.0;
    let far = -9.0 / 128.0;
    let first = far / (near + far);
    let second = middle / (near + middle);
    assert_close(
        &resize_bicubic(&[0.0, 1.0], [1, 2], [1, 4]),
        &[first, second, 1.0 - second, 1.0 - first],
    );
}

#[test]
fn grids_are_resized_as_by_pytorch() {
    // torch.nn.functional.interpolate(grid[None, None], size=…, mode="bicubic", antialias=True,
    // align_corners=False) of PyTorch 2.15 in double precision.
    assert_close(
        &resize_bicubic(&grid(3, 3), [3, 3], [2, 2]),
        &[
            0.981671686475373,
            1.1201565716553001,
            2.8800224925218156,
            0.6365673526069942,
        ],
    );
    assert_close(
        &resize_bicubic(&grid(2, 2), [2, 2], [3, 4]),
        &[
            -0.3976393188854491,
            0.43796992481203006,
            2.0949248120300754,
            2.930534055727554,
            1.1249999999999998,
            1.125,
            1.125,
            1.1249999999999998,
            2.647639318885448,
            1.8120300751879697,
            0.155075187969925,
            -0.6805340557275539,
        ],
    );
    assert_close(
        &resize_bicubic(&grid(5, 4), [5, 4], [3, 2]),
        &[
            1.0577558804831535,
            1.1763191354100444,
            2.5383432635018264,
            0.7139150490101862,
            3.019485060394152,
            1.8710425937698671,
        ],
    );
}

#[test]
fn sizes_that_do_not_fit_give_nothing() {
    assert_eq!(resize_bicubic(&[1.0; 3], [2, 2], [1, 1]), [0.0; 0]);
    assert_eq!(resize_bicubic(&[], [0, 0], [2, 2]), [0.0; 0]);
    assert_eq!(resize_bicubic(&[1.0], [1, 1], [0, 3]), [0.0; 0]);
}
