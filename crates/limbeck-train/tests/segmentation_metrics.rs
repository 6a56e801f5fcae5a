//! All measures of segmentation against other people's code: numbers from `bench/segmentation_metrics.py`, which has
//! the same generator of masks.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "all of this crate is tests"
)]

use limbeck_data::{Mask, VOID};
use limbeck_report::Evaluation;
use limbeck_train::metric::pixels::{PixelMeter, Segmented};

/// The linear congruential generator of ANSI C.
struct Draws(u64);

impl Draws {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = (self.0 * 1_103_515_245 + 12_345) % (1 << 31);
        (self.0 >> 16) % n
    }
}

/// Areas of `cell` pixels a side; what was chosen is moved, and here and there another class.
fn pair(seed: u64, [height, width]: [usize; 2], cell: usize, classes: u64) -> [Mask; 2] {
    let mut draws = Draws(seed);
    let (rows, columns) = (height / cell + 2, width / cell + 2);
    let truth: Vec<u64> = (0..rows * columns)
        .map(|_| draws.below(classes + 1))
        .collect();
    let chosen: Vec<u64> = truth
        .iter()
        .map(|&id| match draws.below(3) {
            0 => draws.below(classes),
            _ => id % classes,
        })
        .collect();
    let mask = |cells: &[u64], down: usize, right: usize| Mask {
        width,
        height,
        ids: (0..height * width)
            .map(|pixel| {
                let (y, x) = (pixel / width + down, pixel % width + right);
                match cells[y / cell * columns + x / cell] {
                    id if id == classes => VOID,
                    id => id as u8,
                }
            })
            .collect(),
    };
    [mask(&truth, 0, 0), mask(&chosen, 2, 1)]
}

fn measured(pairs: &[[Mask; 2]], classes: usize, boundary: f64) -> Evaluation {
    let mut meter = PixelMeter::new(classes, boundary);
    for [truth, chosen] in pairs {
        meter.add(&Segmented {
            truth: Some(truth),
            chosen,
            teacher: None,
            loss: (0.0, 0),
        });
    }
    meter.finish()
}

/// `expected`: mean IoU, pixel accuracy, mean accuracy, boundary IoU.
#[track_caller]
fn agrees(found: &Evaluation, per_class: &[Option<f64>], expected: [f64; 4]) {
    assert_eq!(found.per_class.len(), per_class.len());
    for (found, expected) in found.per_class.iter().zip(per_class) {
        match (found, expected) {
            (Some(found), Some(expected)) => assert!((found - expected).abs() < 1e-9),
            (found, expected) => assert_eq!(found, expected),
        }
    }
    let names = ["miou", "pixel_accuracy", "mean_accuracy", "boundary_iou"];
    for (name, expected) in names.into_iter().zip(expected) {
        let found = found.value(name).unwrap();
        assert!(
            (found - expected).abs() < 1e-9,
            "{name}: {found} and {expected}"
        );
    }
}

fn both() -> [[Mask; 2]; 2] {
    [pair(1, [37, 53], 6, 4), pair(7, [41, 29], 5, 4)]
}

const RANDOM: [Option<f64>; 4] = [
    Some(39.906_542_056_1),
    Some(33.504_492_939_7),
    Some(40.808_823_529_4),
    Some(32.934_131_736_5),
];
const WIDER: f64 = 27.732814296117446;
const MEANS: [f64; 3] = [
    36.788_497_565_419_93,
    53.846_153_846_153_85,
    55.581_196_251_537_83,
];

#[test]
fn random_masks() {
    let [miou, pixels, mean] = MEANS;
    let expected = [miou, pixels, mean, 15.929_085_404_025_145];
    agrees(&measured(&both(), 4, 0.02), &RANDOM, expected);
    let expected = [miou, pixels, mean, WIDER];
    agrees(&measured(&both(), 4, 0.03), &RANDOM, expected);
}

#[test]
fn classes_that_are_absent_have_no_part() {
    let [miou, pixels, mean] = MEANS;
    let per_class: Vec<Option<f64>> = RANDOM.into_iter().chain([None; 3]).collect();
    let expected = [miou, pixels, mean, 15.929_085_404_025_145];
    agrees(&measured(&both(), 7, 0.02), &per_class, expected);
}

#[test]
fn masks_of_one_class() {
    let whole = |id| Mask::filled(30, 20, id);
    let right = measured(&[[whole(0), whole(0)]], 3, 0.02);
    agrees(&right, &[Some(100.0), None, None], [100.0; 4]);
    let wrong = measured(&[[whole(0), whole(2)]], 3, 0.02);
    agrees(&wrong, &[Some(0.0), None, Some(0.0)], [0.0; 4]);
}

#[test]
fn a_picture_that_is_void_all_over_counts_for_nothing() {
    let void = || [Mask::filled(30, 20, VOID), Mask::filled(30, 20, 1)];
    let [first, _] = both();
    let per_class = [
        Some(36.614_853_195_2),
        Some(29.479_768_786_1),
        Some(48.154_093_097_9),
        Some(29.141_104_294_5),
    ];
    let expected = [
        35.847_454_843_420_78,
        52.973_977_695_167_285,
        54.489_872_102_100_456,
        14.655_150_561_908_444,
    ];
    agrees(&measured(&[void(), first], 4, 0.02), &per_class, expected);
    let nothing = measured(&[void()], 4, 0.02);
    assert!(nothing.measures.is_empty() && nothing.score().is_nan());
}
