//! Convolutions as networks have them.

use burn::tensor::DType;
use limbeck_kernels::Conv2dOptions;

use super::definition::{Case, PLAIN, check, run};
use crate::support::noise;

#[test]
fn a_small_convolution_is_as_worked_by_hand() {
    let x: Vec<f64> = (1..=9).map(f64::from).collect();
    let case = Case {
        x: [1, 1, 3, 3],
        weight: [1, 1, 2, 2],
        options: PLAIN,
    };
    let weight = [1.0, 10.0, 100.0, 1000.0];
    let [y, dx, dweight, dbias] = run(case, &x, &weight, &[0.5], &[1.0, 2.0, 3.0, 4.0], DType::F32);
    // 1 + 20 + 400 + 5000 + ½, and so on.
    assert_eq!(y, [5421.5, 6532.5, 8754.5, 9865.5]);
    assert_eq!(
        dx,
        [
            1.0, 12.0, 20.0, 103.0, 1234.0, 2040.0, 300.0, 3400.0, 4000.0
        ]
    );
    // 1·1 + 2·2 + 3·4 + 4·5 for the first element.
    assert_eq!(dweight, [37.0, 47.0, 67.0, 77.0]);
    assert_eq!(dbias, [10.0]);
}

#[test]
fn every_usual_layer_of_a_network_follows_the_definition() {
    let square =
        |channels: usize, outputs: usize, size: usize, kernel: usize, stride: usize| Case {
            x: [3, channels, size, size],
            weight: [outputs, channels, kernel, kernel],
            options: Conv2dOptions {
                stride: [stride; 2],
                padding: [kernel / 2; 2],
                ..PLAIN
            },
        };
    let mut cases = vec![
        square(3, 16, 32, 3, 1),
        square(3, 8, 30, 7, 2),
        square(16, 20, 16, 3, 2),
        square(33, 7, 8, 3, 1),
        square(16, 24, 4, 1, 1),
        square(8, 6, 8, 1, 2),
        square(4, 5, 7, 5, 1),
        square(5, 3, 2, 3, 1),
        square(2, 1, 1, 3, 1),
    ];
    for groups in [2, 4] {
        cases.push(Case {
            x: [2, 8, 14, 14],
            weight: [16, 8 / groups, 3, 3],
            options: Conv2dOptions {
                padding: [1; 2],
                groups,
                ..PLAIN
            },
        });
    }
    for (size, kernel, stride) in [(32, 3, 1), (8, 3, 1), (4, 3, 2), (7, 7, 1), (2, 5, 1)] {
        cases.push(Case {
            x: [5, 12, size, size],
            weight: [12, 1, kernel, kernel],
            options: Conv2dOptions {
                stride: [stride; 2],
                padding: [kernel / 2; 2],
                groups: 12,
                ..PLAIN
            },
        });
    }
    // Small maps of more images than a vector has lanes, one image to a lane, and of fewer.
    for (batch, size, kernel, stride) in [
        (16, 4, 3, 1),
        (35, 8, 3, 2),
        (19, 2, 3, 1),
        (33, 1, 3, 2),
        (17, 7, 5, 3),
        (3, 2, 3, 2),
    ] {
        cases.push(Case {
            x: [batch, 19, size, size],
            weight: [19, 1, kernel, kernel],
            options: Conv2dOptions {
                stride: [stride; 2],
                padding: [kernel / 2; 2],
                groups: 19,
                ..PLAIN
            },
        });
    }
    // 1×1 kernels on maps of less than a vector, of some vectors and a rest, and of more
    // positions than are summed at once.
    for (batch, channels, outputs, [height, width], groups) in [
        (1, 1, 1, [1, 1], 1),
        (33, 70, 13, [1, 1], 1),
        (18, 20, 37, [2, 2], 1),
        (17, 3, 7, [3, 3], 1),
        (5, 66, 9, [4, 4], 1),
        (9, 17, 12, [7, 7], 1),
        (3, 100, 5, [17, 1], 1),
        (2, 7, 23, [19, 17], 1),
        (20, 36, 42, [2, 1], 3),
        (3, 36, 42, [5, 7], 3),
    ] {
        cases.push(Case {
            x: [batch, channels, height, width],
            weight: [outputs, channels / groups, 1, 1],
            options: Conv2dOptions { groups, ..PLAIN },
        });
    }
    // And with a stride: rows of half a vector of outputs, of whole ones, and of odd maps.
    for (channels, outputs, [height, width]) in [
        (20, 7, [16, 16]),
        (18, 21, [6, 32]),
        (5, 33, [12, 16]),
        (17, 20, [15, 15]),
        (3, 4, [4, 80]),
    ] {
        cases.push(Case {
            x: [3, channels, height, width],
            weight: [outputs, channels, 1, 1],
            options: Conv2dOptions {
                stride: [2, 2],
                ..PLAIN
            },
        });
    }
    // Patches, as the stem of a vision transformer takes them: of whole vectors of positions and of
    // less, in strips and in several images, of widths that vectors are taken apart for and of others,
    // with rows and columns that no patch covers.
    for (batch, channels, outputs, [height, width], [down, right], groups) in [
        (2, 3, 10, [16, 16], [4, 4], 1),
        (5, 7, 21, [32, 32], [4, 4], 1),
        (3, 13, 64, [16, 16], [2, 2], 1),
        (19, 4, 33, [5, 6], [2, 2], 1),
        (3, 2, 17, [67, 90], [4, 4], 1),
        (2, 3, 9, [34, 50], [16, 16], 1),
        (3, 5, 18, [26, 17], [3, 8], 1),
        (4, 3, 16, [29, 31], [7, 5], 1),
        (3, 3, 40, [12, 9], [4, 1], 1),
        (3, 12, 36, [18, 20], [2, 4], 3),
        (1, 2, 70, [8, 8], [8, 8], 1),
    ] {
        cases.push(Case {
            x: [batch, channels, height, width],
            weight: [outputs, channels / groups, down, right],
            options: Conv2dOptions {
                stride: [down, right],
                groups,
                ..PLAIN
            },
        });
    }
    // Few outputs of many channels, with groups and without.
    for (batch, channels, outputs, size, groups) in [
        (4, 37, 1, 12, 1),
        (4, 40, 2, 32, 1),
        (1, 13, 3, 9, 1),
        (2, 5, 4, 16, 1),
        (17, 9, 2, 7, 1),
        (2, 26, 6, 11, 2),
    ] {
        cases.push(Case {
            x: [batch, channels, size, size],
            weight: [outputs, channels / groups, 3, 3],
            options: Conv2dOptions { groups, ..PLAIN },
        });
    }
    // A stride that leaves inputs unread, and one that skips kernel-free rows.
    cases.push(Case {
        x: [17, 2, 9, 8],
        weight: [3, 2, 2, 1],
        options: Conv2dOptions {
            stride: [3, 4],
            ..PLAIN
        },
    });
    // Each channel by itself with a stride, on maps of which rows are gone through one by one.
    for ([height, width], kernel, padding) in [
        ([40, 70], 3, 1),
        ([21, 33], 3, 1),
        ([18, 64], 3, 0),
        ([9, 47], 5, 2),
        ([33, 50], 4, 1),
        ([12, 31], 2, 0),
    ] {
        cases.push(Case {
            x: [2, 3, height, width],
            weight: [3, 1, kernel, kernel],
            options: Conv2dOptions {
                stride: [2; 2],
                padding: [padding; 2],
                groups: 3,
                ..PLAIN
            },
        });
    }
    // Tiles of three.
    for size in [3, 5, 6, 9] {
        cases.push(Case {
            x: [5, 17, size, size],
            weight: [14, 17, 3, 3],
            options: Conv2dOptions {
                padding: [1; 2],
                ..PLAIN
            },
        });
    }
    // Dilated: of a size that the dilation divides, of one that it does not, beyond the map.
    for (size, dilation) in [(24, 2), (24, 4), (23, 4), (12, 12), (9, 36)] {
        cases.push(Case {
            x: [2, 16, size, size],
            weight: [20, 16, 3, 3],
            options: Conv2dOptions {
                padding: [dilation; 2],
                dilation: [dilation; 2],
                ..PLAIN
            },
        });
    }
    for (seed, case) in cases.into_iter().enumerate() {
        check(case, seed as u64);
    }
}

#[test]
fn layers_with_more_weights_than_the_caches_hold_follow_the_definition() {
    // Tiles of three, of four, and a stride, in several strips.
    for (batch, channels, outputs, size, stride) in [
        (13, 352, 361, 6, 1),
        (5, 304, 309, 8, 1),
        (13, 306, 304, 7, 2),
    ] {
        let case = Case {
            x: [batch, channels, size, size],
            weight: [outputs, channels, 3, 3],
            options: Conv2dOptions {
                stride: [stride; 2],
                padding: [1; 2],
                ..PLAIN
            },
        };
        check(case, 7);
    }
}

#[test]
fn the_gradients_in_f64_agree_with_finite_differences() {
    let case = Case {
        x: [2, 2, 5, 4],
        weight: [3, 2, 3, 2],
        options: Conv2dOptions {
            stride: [2, 1],
            padding: [1, 2],
            dilation: [1, 2],
            groups: 1,
        },
    };
    let count: usize = case.output().expect("a case with outputs").iter().product();
    let inputs = [noise(80, 1), noise(36, 2), noise(3, 3)];
    let gradient = noise(count, 4);
    let loss = |inputs: &[Vec<f64>; 3]| -> f64 {
        let [x, weight, bias] = inputs;
        let [y, ..] = run(case, x, weight, bias, &gradient, DType::F64);
        y.iter().zip(&gradient).map(|(y, g)| y * g).sum()
    };
    let [x, weight, bias] = &inputs;
    let [_, gradients @ ..] = run(case, x, weight, bias, &gradient, DType::F64);
    for (index, expected) in gradients.iter().enumerate() {
        for at in (0..expected.len()).step_by(7) {
            let mut shifted = [inputs.clone(), inputs.clone()];
            shifted[0][index][at] += 1e-4;
            shifted[1][index][at] -= 1e-4;
            let slope = (loss(&shifted[0]) - loss(&shifted[1])) / 2e-4;
            assert!(
                (slope - expected[at]).abs() < 1e-8,
                "input {index} at {at}: slope {slope}, gradient {}",
                expected[at]
            );
        }
    }
}
