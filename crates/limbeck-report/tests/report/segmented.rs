//! Reports of runs about masks, made up as in [`crate::sample`].

use std::collections::BTreeMap;
use std::io::Cursor;

use base64::{Engine, engine::general_purpose::STANDARD};
use image::{ImageFormat, Rgb, RgbImage};
use limbeck_report::{
    AGREEMENT, Confusion, Details, DrawnMask, Evaluation, Measure, Palette, Resampled, Results,
    Segmentation, SegmentedPicture, from_files, headline, mask_png, render, to_files,
};

use crate::checked;
use crate::sample::{Noise, distilled, pair};

/// CamVid's classes; the last does not occur in the made-up test part.
const CLASSES: [&str; 12] = [
    "Sky",
    "Building",
    "Pole",
    "Road",
    "Pavement",
    "Tree",
    "SignSymbol",
    "Fence",
    "Car",
    "Pedestrian",
    "Bicyclist",
    "Train",
];
/// IoU of a good network in each of them.
const IOU: [f64; 11] = [
    91.0, 80.5, 22.4, 93.1, 74.9, 74.0, 31.2, 28.8, 78.1, 41.3, 46.5,
];
const WIDTH: usize = 96;
const HEIGHT: usize = 72;
const VOID: u8 = 255;

/// A distilled segmentation run with `seeds` students and baselines.
pub fn segmented(seeds: usize) -> Results {
    let mut noise = Noise(11);
    let mut results = distilled(10, seeds, 12);
    results.run = "cwd-pspnet_resnet18-20261129-2130".into();
    results.method = "cwd".into();
    results.data.name = "camvid (images and masks)".into();
    results.data.classes = CLASSES.map(Into::into).into();
    (
        results.data.train,
        results.data.validation,
        results.data.test,
    ) = (367, 101, 233);
    results.data.shape = [3, 360, 480];
    results.disagreements.clear();
    let teacher = results.teacher.as_mut().unwrap();
    teacher.name = "pspnet_resnet101".into();
    teacher.test = Some(evaluation(0.0, None, &mut noise));
    results.student.name = "pspnet_resnet18_x0.5".into();
    for (runs, lost, agreement) in [
        (&mut results.students, 9.0, 88.2),
        (&mut results.baselines, 11.5, 86.9),
    ] {
        for seed in runs.iter_mut() {
            seed.test = evaluation(lost + 0.6 * noise.next(), Some(agreement), &mut noise);
            for row in &mut seed.epochs {
                let top1 = row.measures.remove("validation_top1").unwrap();
                row.measures.insert("validation_miou".into(), top1 - 30.0);
                row.measures.remove("train_top1");
            }
        }
    }
    pair(&mut results);
    if let Some(gain) = &mut results.gain {
        gain.resampled = Some(Resampled {
            unit: "block".into(),
            units: 14,
            ci95: [gain.mean - 1.3, gain.mean + 1.4],
        });
    }
    results.segmented = (0..6).map(|place| picture(place, &mut noise)).collect();
    results
}

fn evaluation(lost: f64, agreement: Option<f64>, noise: &mut Noise) -> Evaluation {
    let mut per_class: Vec<Option<f64>> = IOU
        .iter()
        .map(|iou| {
            let hard = (100.0 - iou) / 50.0;
            Some((iou - lost * hard + 1.5 * noise.next()).clamp(0.0, 100.0))
        })
        .collect();
    per_class.push(None);
    let miou = per_class.iter().flatten().sum::<f64>() / 11.0;
    let interval = |iou: &Option<f64>| iou.map(|iou| [iou - 3.0, (iou + 2.5).min(100.0)]);
    let mut measures = vec![
        Measure::percent("miou", "mean IoU", "over the classes that occur", miou),
        Measure::percent(
            "pixel_accuracy",
            "pixel accuracy",
            "pixels that are right",
            88.0 - lost / 3.0,
        ),
        Measure::percent(
            "mean_accuracy",
            "mean accuracy",
            "share right in each class",
            miou + 9.0,
        ),
        Measure::percent(
            "boundary_iou",
            "boundary IoU",
            "near boundaries",
            miou - 14.0,
        ),
        Measure::cost(
            "loss",
            "cross entropy",
            "of a pixel",
            "nats",
            0.41 + lost / 100.0,
        ),
    ];
    let title = "agreement with the teacher";
    measures.extend(agreement.map(|value| Measure::percent(AGREEMENT, title, "same class", value)));
    let confusion: Confusion = (0..11)
        .map(|class| {
            let pixels = 1_000_000 / (1 + class as u64 * class as u64);
            let right = (pixels as f64 * per_class[class].unwrap_or(0.0) / 100.0) as u64;
            let other = (class * 5 + 1) % 11;
            let other = if other == class {
                (class + 1) % 11
            } else {
                other
            };
            let third = (class + 3) % 11;
            BTreeMap::from([
                (class, right),
                (other, pixels - right),
                (third, pixels / 40),
            ])
        })
        .chain([BTreeMap::new()])
        .collect();
    Evaluation {
        measures,
        details: Details::Segmentation(Segmentation {
            confusion,
            intervals: per_class.iter().map(interval).collect(),
            boundary: per_class
                .iter()
                .map(|iou| iou.map(|iou| (iou - 14.0).max(0.0)))
                .collect(),
            images: (0..12)
                .map(|class| if class == 11 { 0 } else { 233 - 17 * class })
                .collect(),
        }),
        per_class,
    }
}

/// A street: sky, houses, road, a car, and a strip of void.
fn street(x: usize, y: usize, place: usize) -> u8 {
    let (car, house) = (20 + place * 9, 14 + (x / 12 * 7 + place * 3) % 18);
    match (x, y) {
        _ if y > 66 => VOID,
        _ if (car..car + 22).contains(&x) && (38..52).contains(&y) => 8,
        _ if x % 40 == 5 && y < 48 => 2,
        _ if y > 44 => 3,
        _ if y > 40 => 4,
        _ if y > house => 1,
        _ => 0,
    }
}

fn picture(place: usize, noise: &mut Noise) -> SegmentedPicture {
    let palette = Palette::of(&CLASSES);
    let truth: Vec<u8> = (0..WIDTH * HEIGHT)
        .map(|pixel| street(pixel % WIDTH, pixel / WIDTH, place))
        .collect();
    let mut guess = |blur: f64, void: bool| -> Vec<u8> {
        (0..WIDTH * HEIGHT)
            .map(|pixel| {
                let shake = |noise: &mut Noise| (blur * noise.next()) as isize;
                let x = (pixel % WIDTH)
                    .saturating_add_signed(shake(noise))
                    .min(WIDTH - 1);
                let y = (pixel / WIDTH).saturating_add_signed(shake(noise)).min(66);
                if void { VOID } else { street(x, y, place) }
            })
            .collect()
    };
    let file = |ids: &[u8]| STANDARD.encode(mask_png(ids, [HEIGHT, WIDTH], &palette).unwrap());
    let mut drawn = |blur: f64, miou: f64| {
        Some(DrawnMask {
            miou: Some(miou - place as f64),
            png: file(&guess(blur, false)),
        })
    };
    let (teacher, student, baseline) = (drawn(2.0, 71.0), drawn(5.0, 58.0), drawn(9.0, 44.0));
    let colours = [
        [150, 190, 230],
        [150, 120, 100],
        [90, 90, 90],
        [100, 100, 105],
        [160, 150, 150],
    ];
    let photo = RgbImage::from_fn(WIDTH as u32, HEIGHT as u32, |x, y| {
        let id = street(x as usize, y as usize, place);
        let base = colours
            .get(usize::from(id))
            .copied()
            .unwrap_or([170, 40, 40]);
        Rgb(base.map(|value: u8| value.saturating_add_signed((12.0 * noise.next()) as i8)))
    });
    let mut bytes = Cursor::new(Vec::new());
    photo.write_to(&mut bytes, ImageFormat::Png).unwrap();
    SegmentedPicture {
        index: place * 31 + 4,
        name: format!("0001TP_{:06}.jpg", 8550 + 30 * place),
        size: [HEIGHT, WIDTH],
        png: STANDARD.encode(bytes.into_inner()),
        truth: Some(DrawnMask {
            miou: None,
            png: file(&truth),
        }),
        teacher,
        student,
        baseline,
    }
}

/// What a segmentation network's page shows, to be changed.
fn details(test: &mut Evaluation) -> &mut Segmentation {
    match &mut test.details {
        Details::Segmentation(details) => details,
        _ => panic!("not of a segmentation network"),
    }
}

#[test]
fn a_distilled_run_shows_masks_classes_and_confusion_of_pixels() {
    let results = segmented(3);
    let page = checked("segmented", render(&results));
    for part in [
        "mean IoU on the test images",
        "points better than the same network trained on labels alone",
        "id=\"pictures\"",
        "Where student and baseline differ most",
        "id=\"classes\"",
        "id=\"confusion\"",
        "Of the test pixels of each class",
        "Boundary IoU",
        "Absent from the test images, and so from the mean: Train",
        "14 blocks of test images drawn anew",
        "Hatched pixels are void",
        "in 233 images",
        "0001TP_008550.jpg",
    ] {
        assert!(page.contains(part), "{part} is missing");
    }
    for gone in [
        "id=\"disagreements\"",
        "id=\"calibration\"",
        "right class ·",
    ] {
        assert!(!page.contains(gone), "{gone}");
    }
    // Of six pictures the picture, the right mask and three networks' masks.
    assert_eq!(page.matches("src=\"data:image/png;base64,").count(), 30);
    assert_eq!(page.matches("class=\"whisker\"").count(), 33);
    assert_eq!(page.matches("class=\"track\"").count(), 33);
}

#[test]
fn a_network_alone_has_pictures_and_bars_without_rivals() {
    let mut results = segmented(1);
    results.method = "none".into();
    results.run = "none-pspnet_resnet18".into();
    results.teacher = None;
    results.baselines.clear();
    results.gain = None;
    for case in &mut results.segmented {
        (case.teacher, case.baseline) = (None, None);
    }
    let page = checked("segmented-plain", render(&results));
    assert!(page.contains("Where the network is wrong most"));
    assert!(page.contains("95 % intervals over the test images"));
    assert_eq!(page.matches("class=\"track\"").count(), 11);
    let body = page.split("</style>").nth(1).unwrap();
    assert!(!body.contains("Baseline") && !body.contains("Differ\u{ad}ence"));
}

#[test]
fn masks_without_labels_are_compared_with_the_teachers() {
    let mut results = segmented(2);
    results.baselines.clear();
    results.gain = None;
    results.teacher.as_mut().unwrap().test = None;
    for seed in &mut results.students {
        let agreement = seed.test.measure(AGREEMENT).unwrap().clone();
        seed.test = Evaluation {
            measures: vec![agreement],
            ..Evaluation::default()
        };
    }
    for case in &mut results.segmented {
        (case.truth, case.baseline) = (None, None);
    }
    let page = checked("segmented-unlabelled", render(&results));
    assert!(page.contains("Where student and teacher differ most"));
    assert!(!page.contains("Right mask") && !page.contains("id=\"classes\""));
}

#[test]
fn many_classes_are_cut_in_the_middle() {
    let mut results = segmented(2);
    results.data.classes = (0..150).map(|class| format!("thing {class}")).collect();
    for seed in results.students.iter_mut().chain(&mut results.baselines) {
        seed.test.per_class = (0..150).map(|class| Some(f64::from(class) / 2.0)).collect();
    }
    let page = checked("segmented-many", render(&results));
    assert!(page.contains("126 classes between") && page.contains("and 118 rarer ones"));
}

#[test]
fn what_speaks_against_the_numbers_is_said() {
    let mut results = segmented(2);
    let told = |results: &Results| headline(results).cautions.join(" ");
    let found = told(&results);
    assert!(
        found.contains("No test image has Train: the mean IoU is that of the other 11 classes"),
        "{found}"
    );
    assert!(!found.contains("gives no pixel"), "{found}");
    for seed in &mut results.students {
        for row in &mut details(&mut seed.test).confusion {
            let lost = row.remove(&2).unwrap_or(0);
            *row.entry(3).or_default() += lost;
        }
    }
    let found = told(&results);
    assert!(
        found.contains("no pixel of the test images the class Pole, though it occurs there"),
        "{found}"
    );
    for seed in &mut results.students {
        for row in &mut details(&mut seed.test).confusion {
            let pixels = row.values().sum();
            *row = [(3, pixels)].into();
        }
    }
    assert!(told(&results).contains("every pixel of the test images the same class: Road"));
}

#[test]
fn an_interval_over_blocks_that_holds_zero_is_said_to() {
    let mut results = segmented(3);
    let all = |results: &Results| headline(results).sentences.join(" ");
    results.gain.as_mut().unwrap().resampled = Some(Resampled {
        unit: "image".into(),
        units: 233,
        ci95: [-0.42, 3.1],
    });
    let found = all(&results);
    assert!(
        found.contains("the 233 test images drawn anew, its 95 % interval is −0.4 to +3.1 points: zero lies inside"),
        "{found}"
    );
    results
        .gain
        .as_mut()
        .unwrap()
        .resampled
        .as_mut()
        .unwrap()
        .ci95 = [0.4, 3.1];
    assert!(all(&results).contains("zero lies outside"));
    results
        .gain
        .as_mut()
        .unwrap()
        .resampled
        .as_mut()
        .unwrap()
        .ci95 = [f64::NAN, 3.1];
    assert!(!all(&results).contains("drawn anew"));
}

#[test]
fn masks_are_kept_beside_the_results() {
    let results = segmented(2);
    let (text, files) = to_files(&results).unwrap();
    assert!(text.len() < 60_000, "{} bytes", text.len());
    let read = from_files(&text, Some(&files)).unwrap();
    assert_eq!(read.segmented, results.segmented);
    assert_eq!(render(&read), render(&results));
    let without = from_files(&text, None).unwrap();
    let page = checked("segmented-without-details", render(&without));
    assert!(page.contains("no picture"));
}

#[test]
fn shapes_that_do_not_fit_together_are_a_page() {
    let mut results = segmented(2);
    results.data.classes.truncate(3);
    details(&mut results.students[0].test).intervals.truncate(2);
    details(&mut results.students[0].test).images.clear();
    details(&mut results.students[1].test).boundary.clear();
    details(&mut results.students[1].test).confusion[2] =
        (0..255).map(|class| (class, 5)).collect();
    results.students[1].test.per_class.truncate(4);
    results.segmented[0].size = [0, usize::MAX];
    results.segmented[1].png = "\"><script>alert(1)</script>".into();
    results.segmented[2].student.as_mut().unwrap().miou = Some(f64::NAN);
    results.segmented[3].name = "<b>\"&".into();
    let page = checked("segmented-ragged", render(&results));
    assert!(page.contains("class 10") && !page.contains("<script"));
}
