//! COCO's measures against other people's code: numbers from `bench/detection_metrics.py`, which has the same
//! generator of boxes.

#![allow(clippy::unwrap_used, reason = "all of this crate is tests")]

use limbeck_methods::detection::average_precision::{Detection, GroundTruth, coco};

/// The linear congruential generator of ANSI C.
struct Draws(u64);

impl Draws {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = (self.0 * 1_103_515_245 + 12_345) % (1 << 31);
        (self.0 >> 16) % n
    }

    /// Left, top, width, height.
    fn place(&mut self) -> [u64; 4] {
        let [x, y] = [self.below(200), self.below(200)];
        [x, y, 4 + self.below(150), 4 + self.below(150)]
    }

    fn detection(&mut self, image: usize, class: u64, [x, y, w, h]: [u64; 4]) -> Detection {
        Detection {
            image,
            class: class as usize,
            score: self.below(16) as f64 / 16.0,
            bounds: [x, y, x + w, y + h].map(|v| v as f64),
        }
    }
}

struct Scene {
    truth: Vec<GroundTruth>,
    found: Vec<Detection>,
}

impl Scene {
    fn new(seed: u64, images: usize, [objects, others]: [u64; 2], classes: u64) -> Self {
        let mut draws = Draws(seed);
        let (mut truth, mut found) = (Vec::new(), Vec::new());
        for image in 0..images {
            if draws.below(5) == 0 {
                continue;
            }
            for _ in 0..draws.below(objects + 1) {
                let class = draws.below(classes);
                let [x, y, w, h] = draws.place();
                let bounds = [x, y, x + w, y + h].map(|v| v as f64);
                let mut object = GroundTruth::new(image, class as usize, bounds);
                object.area = (w * h * (5 + draws.below(5))) as f64 / 8.0;
                object.crowd = draws.below(6) == 0;
                truth.push(object);
                for _ in 0..draws.below(4) {
                    let [left, top] = [x + draws.below(1 + w / 4), y + draws.below(1 + h / 4)];
                    let its = match draws.below(6) {
                        0 => draws.below(classes),
                        _ => class,
                    };
                    found.push(draws.detection(image, its, [left, top, w, h]));
                }
            }
            for _ in 0..draws.below(others + 1) {
                let class = draws.below(classes);
                let place = draws.place();
                found.push(draws.detection(image, class, place));
            }
        }
        Self { truth, found }
    }

    /// `None` is pycocotools' −1.
    #[track_caller]
    fn agrees<const K: usize>(&self, twelve: [f64; 12], classes: [Option<f64>; K]) {
        let measures = coco(&self.truth, &self.found, K).unwrap();
        for (i, (found, expected)) in measures.twelve().into_iter().zip(twelve).enumerate() {
            let found = found.unwrap();
            assert!(
                (found - expected).abs() < 1e-12,
                "{i}: {found} and {expected}"
            );
        }
        for (found, expected) in measures.classes.iter().zip(classes) {
            let found = found.map(|ap| ap.iter().sum::<f64>() / 10.0);
            let difference = found.zip(expected).map(|(a, b)| (a - b).abs());
            assert_eq!(found.is_some(), expected.is_some());
            assert!(difference.unwrap_or(0.0) < 1e-12);
        }
    }
}

#[test]
fn crowds_ties_and_empty_images() {
    let scene = Scene::new(1, 20, [6, 5], 4);
    assert_eq!([scene.truth.len(), scene.found.len()], [52, 109]);
    scene.agrees(
        [
            0.143_195_278_636_546_7,
            0.355_222_298_545_643_97,
            0.077_974_780_277_836_68,
            0.236_303_630_363_036_28,
            0.162_959_829_600_658_13,
            0.250_240_845_513_122_7,
            0.185_763_888_888_888_9,
            0.341_815_476_190_476_2,
            0.341_815_476_190_476_2,
            0.287_5,
            0.345_089_285_714_285_65,
            0.357_5,
        ],
        [
            Some(0.059_772_548_683_439_83),
            Some(0.100_031_431_714_600_58),
            Some(0.259_507_380_340_467_94),
            Some(0.153_469_753_807_679_1),
        ],
    );
}

#[test]
fn a_class_that_is_nowhere() {
    Scene::new(2, 12, [4, 3], 3).agrees(
        [
            0.181_556_250_863_181_56,
            0.474_081_932_002_723_97,
            0.086_083_608_360_836_08,
            0.65,
            0.253_496_778_249_253_5,
            0.266_039_603_960_396_1,
            0.293_333_333_333_333_33,
            0.418_333_333_333_333_33,
            0.418_333_333_333_333_33,
            0.7,
            0.441_666_666_666_666_65,
            0.45,
        ],
        [
            Some(0.336_908_690_869_086_1),
            Some(0.148_436_629_377_223_66),
            Some(0.059_323_432_343_234_03),
            None,
        ],
    );
}

#[test]
fn more_than_a_hundred_detections() {
    let scene = Scene::new(3, 3, [60, 300], 2);
    let most = |image, class| {
        let its = scene
            .found
            .iter()
            .filter(|d| (d.image, d.class) == (image, class));
        its.count()
    };
    assert!((0..3).any(|image| (0..2).any(|class| most(image, class) > 100)));
    scene.agrees(
        [
            0.056_446_507_712_393_74,
            0.179_749_203_244_357_2,
            0.010_306_850_523_108_99,
            0.036_604_660_466_046_615,
            0.068_174_144_953_664_99,
            0.075_095_440_493_320_79,
            0.014_583_333_333_333_332,
            0.045_535_714_285_714_28,
            0.295_238_095_238_095_24,
            0.166_666_666_666_666_66,
            0.290_208_333_333_333_35,
            0.43,
        ],
        [
            Some(0.056_764_109_250_813_98),
            Some(0.056_128_906_173_973_835),
        ],
    );
}
