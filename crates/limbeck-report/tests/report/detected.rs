//! Reports of runs about boxes, made up as in [`crate::sample`].

use std::collections::BTreeMap;

use limbeck_report::{
    BoxKind, Confusion, Details, DetectedPicture, Detection, DrawnBox, Evaluation, Measure,
    Results, from_files, headline, render, to_files,
};

use crate::checked;
use crate::sample::{Noise, distilled, pair, picture};

/// Classes of blood cells; no test image has the last.
const CLASSES: [&str; 4] = ["Platelets", "RBC", "WBC", "Parasite"];
/// AP of a good network in each.
const AP: [f64; 3] = [35.0, 58.0, 76.0];
const OBJECTS: [u64; 4] = [69, 805, 71, 0];

/// A distilled detection run with `seeds` students and baselines.
fn detected(seeds: usize) -> Results {
    let mut noise = Noise(17);
    let mut results = distilled(10, seeds, 12);
    results.run = "kd-yolov5n-20261130-0800".into();
    results.data.name = "bccd (PASCAL VOC)".into();
    results.data.classes = CLASSES.map(Into::into).into();
    (
        results.data.train,
        results.data.validation,
        results.data.test,
    ) = (205, 87, 72);
    results.data.shape = [3, 320, 320];
    results.disagreements.clear();
    let teacher = results.teacher.as_mut().unwrap();
    teacher.name = "yolov5s".into();
    teacher.test = Some(evaluation(0.0, &mut noise));
    results.student.name = "yolov5n".into();
    for (runs, lost) in [(&mut results.students, 5.0), (&mut results.baselines, 9.0)] {
        for seed in runs.iter_mut() {
            seed.test = evaluation(lost + noise.next(), &mut noise);
        }
    }
    pair(&mut results);
    results.detected = (0..13).map(|place| scene(place, &mut noise)).collect();
    results
}

fn evaluation(lost: f64, noise: &mut Noise) -> Evaluation {
    let mut per_class: Vec<Option<f64>> =
        AP.iter().map(|ap| Some(ap - lost + noise.next())).collect();
    per_class.push(None);
    let ap = per_class.iter().flatten().sum::<f64>() / 3.0;
    let curve = |ap: &Option<f64>| {
        let last = ap.map_or(0, |ap| (ap + 25.0) as usize);
        let points = (0..last).map(|step| step as f64 / 100.0);
        points
            .map(|recall| [recall, 1.0 - recall * recall])
            .collect()
    };
    let confusion: Confusion = (0..3)
        .map(|class| {
            let right = OBJECTS[class] * 3 / 4;
            BTreeMap::from([(class, right), (3, 0), (4, OBJECTS[class] - right)])
        })
        .chain([BTreeMap::new(), BTreeMap::from([(1, 60), (0, 12)])])
        .collect();
    Evaluation {
        measures: vec![
            Measure::percent("ap", "AP", "over overlaps of 0.5 to 0.95", ap),
            Measure::percent("ap50", "AP50", "at an overlap of 0.5", ap + 25.0),
        ],
        details: Details::Detection(Detection {
            per_class_50: per_class.iter().map(|ap| ap.map(|ap| ap + 20.0)).collect(),
            objects: OBJECTS.into(),
            curves: per_class.iter().map(curve).collect(),
            confusion,
            intervals: per_class
                .iter()
                .map(|ap| ap.map(|ap| [ap - 4.0, ap + 3.0]))
                .collect(),
        }),
        per_class,
    }
}

fn scene(place: usize, noise: &mut Noise) -> DetectedPicture {
    let at = |class: usize, left: f64, kind: BoxKind, score: Option<f64>| DrawnBox {
        class,
        bounds: [left, 20.0, left + 90.0, 80.0],
        score,
        kind,
    };
    let found = |first: BoxKind| {
        Some(vec![
            at(1, 21.0, first, Some(0.91)),
            at(2, 150.0, BoxKind::Wrong, Some(0.34)),
        ])
    };
    DetectedPicture {
        index: 5 * place + 3,
        name: format!("BloodImage_{place:05}.jpg"),
        size: [240, 320],
        truth: vec![
            at(1, 20.0, BoxKind::Right, None),
            at(0, 200.0, BoxKind::Aside, None),
        ],
        teacher: found(BoxKind::Right),
        student: found(BoxKind::Right),
        baseline: found(BoxKind::Wrong),
        png: picture(place, noise),
    }
}

/// A run that has adapted to another domain, with upper bounds of an AP that is less by `lost`.
fn adapted(lost: f64) -> Results {
    let mut noise = Noise(23);
    let mut results = detected(3);
    results.method = "ssdayolo".into();
    results.teacher = None;
    results.bounds = results.baselines.clone();
    for seed in &mut results.bounds {
        seed.test = evaluation(lost + noise.next(), &mut noise);
    }
    results
}

/// What a detector's page shows, to be changed.
fn details(test: &mut Evaluation) -> &mut Detection {
    match &mut test.details {
        Details::Detection(details) => details,
        _ => panic!("not of a detector"),
    }
}

#[test]
fn a_distilled_run_shows_boxes_classes_curves_and_confusion_with_background() {
    let page = checked("detected", render(&detected(3)));
    for part in [
        "AP on the test images",
        "points better than the same network trained on labels alone",
        "Where student and baseline differ most",
        "BloodImage_00011.jpg",
        "1 right, 1 wrong, 0 missed",
        "0 right, 2 wrong, 1 missed",
        "<title>RBC 0.91</title>",
        "<title>WBC 0.34, wrong</title>",
        "<title>Platelets, counts nowhere</title>",
        "Absent from the test images, and so from the mean: Parasite",
        "<small>805 objects</small>",
        "AP50 ",
        "id=\"precision-recall\"",
        "Precision of WBC over recall",
        "<th scope=\"row\">background</th>",
        "Missed and confused most",
    ] {
        assert!(page.contains(part), "{part} is missing");
    }
    for gone in ["id=\"disagreements\"", "id=\"calibration\"", "class 4"] {
        assert!(!page.contains(gone), "{gone}");
    }
    // Of thirteen pictures twelve, each file once and in four panels.
    assert_eq!(page.matches("data:image/png;base64,").count(), 12);
    assert_eq!(page.matches("<svg class=\"boxes\"").count(), 48);
    assert_eq!(page.matches("<use href=\"#picture-").count(), 36);
    // A box that the baseline has wrong, and one that all have.
    assert_eq!(page.matches("<g class=\"wrong\"").count(), 12 * 4);
    assert_eq!(page.matches("Precision of ").count(), 3);
    assert_eq!(page.matches("class=\"track\"").count(), 9);
}

#[test]
fn an_upper_bound_has_a_column_and_says_how_much_of_the_gap_is_closed() {
    let results = adapted(1.0);
    let ap = |all: &[limbeck_report::SeedResult]| {
        let values = all.iter().filter_map(|seed| seed.test.value("ap"));
        values.sum::<f64>() / all.len() as f64
    };
    let [student, baseline, bound] =
        [&results.students, &results.baselines, &results.bounds].map(|all| ap(all));
    let share = (student - baseline) / (bound - baseline) * 100.0;
    let told = headline(&results).sentences.join(" ");
    let sentence = format!(
        "The upper bound, the same network trained on the target's labels, reaches {bound:.1}\u{a0}% AP; of \
         the gap between baseline and upper bound, adaptation closes {share:.0}\u{a0}%."
    );
    assert!(told.contains(&sentence), "{told}\n{sentence}");
    let page = checked("adapted", render(&results));
    let heads = page.split("<thead>").filter(|table| {
        let head = table.split("</thead>").next().unwrap();
        head.contains("Upper bound")
    });
    // Side by side, class by class, and what is confused most.
    assert_eq!(heads.count(), 3);
    // Where it is not drawn, no legend names it.
    for section in ["seeds", "training"] {
        let shown = page
            .split(&format!("<section id=\"{section}\""))
            .nth(1)
            .unwrap();
        let shown = shown.split("</section>").next().unwrap();
        assert!(
            shown.contains("Baseline") && !shown.contains("Upper bound"),
            "{section}"
        );
    }
    // Five costs of two networks.
    assert_eq!(page.matches("as the student").count(), 10);

    let mut unsure = results.clone();
    unsure.gain.as_mut().unwrap().ci95 = Some([-1.0, 9.0]);
    let told = headline(&unsure).sentences.join(" ");
    assert!(
        told.contains("labels, reaches") && !told.contains("closes"),
        "{told}"
    );

    let low = headline(&adapted(12.0));
    assert!(!low.sentences.join(" ").contains("closes"), "{low:?}");
    assert!(
        low.cautions
            .join(" ")
            .contains("upper bound is not better than the baseline")
    );
    assert!(
        !headline(&results)
            .cautions
            .join(" ")
            .contains("not better than the baseline")
    );
}

#[test]
fn a_teacher_that_is_sure_of_nothing_in_the_target_is_told() {
    let told = |boxes: f64| {
        let mut results = adapted(1.0);
        for epoch in results.students.iter_mut().flat_map(|run| &mut run.epochs) {
            epoch.terms.insert("pseudo_boxes".to_owned(), boxes);
        }
        headline(&results).cautions.join(" ")
    };
    assert!(told(0.0).contains("method.ssdayolo.confidence"));
    assert!(!told(0.7).contains("method.ssdayolo.confidence"));
}

#[test]
fn upper_bounds_are_read_again_and_results_without_them_too() {
    let results = adapted(1.0);
    let (text, files) = to_files(&results).unwrap();
    let read = from_files(&text, Some(&files)).unwrap();
    assert_eq!(read.bounds.len(), 3);
    let details = &read.bounds[2].test.details;
    assert!(matches!(details, Details::Detection(found) if !found.curves.is_empty()));
    assert_eq!(render(&read), render(&results));
    let files = to_files(&detected(2)).unwrap();
    for text in [&files.0, &files.1] {
        let keys: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text).unwrap();
        assert!(keys.contains_key("baselines") && !keys.contains_key("bounds"));
    }
    let read = from_files(&files.0, Some(&files.1)).unwrap();
    assert!(read.bounds.is_empty());
}

#[test]
fn a_network_alone_has_no_word_of_rivals() {
    let mut results = detected(1);
    results.method = "none".into();
    results.teacher = None;
    results.baselines.clear();
    results.gain = None;
    for case in &mut results.detected {
        (case.teacher, case.baseline) = (None, None);
    }
    let page = checked("detected-plain", render(&results));
    assert!(page.contains("Where the network is wrong most"));
    assert!(page.contains("95 % intervals over the test images"));
    let body = page.split("</style>").nth(1).unwrap();
    assert!(!body.contains("Baseline") && !body.contains(">Teacher"));
}

#[test]
fn many_classes_have_charts_of_the_most_frequent() {
    let mut results = detected(1);
    results.data.classes = (0..80).map(|class| format!("thing {class}")).collect();
    let runs = results.students.iter_mut().chain(&mut results.baselines);
    for test in runs.map(|seed| &mut seed.test) {
        test.per_class = vec![Some(20.0); 80];
        let details = details(test);
        details.curves = vec![vec![[0.0, 1.0], [0.01, 0.5]]; 80];
        details.objects = (0..80).collect();
    }
    let page = checked("detected-many", render(&results));
    assert!(page.contains("These are the 24 of 80 classes with most objects"));
    assert_eq!(page.matches("Precision of ").count(), 24);
    assert!(page.contains("Precision of thing 79") && !page.contains("Precision of thing 20 "));
}

#[test]
fn what_speaks_against_the_numbers_is_said() {
    let mut results = detected(2);
    let told = |results: &Results| headline(results).cautions.join(" ");
    let found = told(&results);
    assert!(
        found.contains("No test image has Parasite to be found: AP is that of the other 3 classes"),
        "{found}"
    );
    assert!(!found.contains("finds no"), "{found}");
    for seed in &mut results.students {
        for row in &mut details(&mut seed.test).confusion {
            let lost = row.remove(&2).unwrap_or(0);
            *row.entry(4).or_default() += lost;
        }
    }
    let found = told(&results);
    assert!(
        found.contains("finds no WBC with a score of 0.25"),
        "{found}"
    );
    for seed in &mut results.students {
        seed.test.measures[1].value = 0.4;
    }
    let found = told(&results);
    assert!(
        found.contains("AP50 of 0.40\u{a0}% the student has learnt next to nothing"),
        "{found}"
    );
    for seed in &mut results.students {
        let confusion = &mut details(&mut seed.test).confusion;
        *confusion = vec![
            [(4, 9)].into(),
            [(4, 9)].into(),
            [(4, 9)].into(),
            [].into(),
            [].into(),
        ];
    }
    let found = told(&results);
    assert!(
        found.contains("finds no box with a score of 0.25"),
        "{found}"
    );
    let teacher = results.teacher.as_mut().unwrap().test.as_mut().unwrap();
    teacher.measures[1].value = 0.1;
    assert!(told(&results).contains("the teacher finds next to nothing"));
}

#[test]
fn boxes_are_kept_beside_the_results() {
    let results = detected(2);
    let (text, files) = to_files(&results).unwrap();
    assert!(!text.contains("BloodImage") && files.contains("BloodImage"));
    let read = from_files(&text, Some(&files)).unwrap();
    assert_eq!(read.detected, results.detected);
    assert_eq!(render(&read), render(&results));
    let without = from_files(&text, None).unwrap();
    let page = checked("detected-without-details", render(&without));
    assert!(!page.contains("id=\"pictures\""));
}

#[test]
fn shapes_that_do_not_fit_together_are_a_page() {
    let mut results = detected(2);
    results.data.classes.truncate(1);
    let first = details(&mut results.students[0].test);
    first.intervals.truncate(2);
    first.objects.clear();
    first.curves[1] = vec![[f64::NAN, 0.5], [-3.0, 0.5], [7.0, f64::INFINITY]];
    details(&mut results.students[1].test).confusion.clear();
    results.detected[0].size = [0, usize::MAX];
    results.detected[1].png = "\"><script>alert(1)</script>".into();
    results.detected[2].student.as_mut().unwrap()[0].bounds = [f64::NAN, 0.0, f64::INFINITY, 1e300];
    results.detected[3].student.as_mut().unwrap()[0].score = Some(f64::NAN);
    results.detected[4].name = "<b>\"&".into();
    let page = checked("detected-ragged", render(&results));
    assert!(page.contains("no picture") && !page.contains("<script"));
}
