//! Pages of studies of every size.

use std::collections::BTreeMap;

use limbeck_report::{
    Measure, NullDraw, NullExperiment, StudyCell, StudyResults, StudyRun, StudyTeacher, study_csv,
    study_page, study_rows,
};

use crate::checked;

const METHODS: [&str; 60] = [
    "kd", "dkd", "at", "rkd", "crd", "fitnet", "reviewkd", "tat", "byot", "drg+dsr", "tfkd", "dml",
    "ab", "afd", "cc", "cat_kd", "ckd", "cwd", "dist", "dkpp", "dpk", "ft", "fsp", "ghost", "hint",
    "icd", "ifvd", "irg", "kr", "lsr", "mgd", "mgram", "mimic", "mlkd", "nkd", "nst", "ofd", "ota",
    "pefd", "pkt", "ptloss", "rco", "rkda", "sdd", "semckd", "simkd", "sp", "spkd", "srrl", "sskd",
    "takd", "teskd", "tinyvit", "tst", "ttm", "usk", "vid", "vkd", "wkd", "wsld",
];

/// Names, multiply-accumulates, trained numbers and what labels alone reach.
const STUDENTS: [(&str, u64, u64, f64); 3] = [
    ("resnet8", 12_500_000, 78_042, 66.0),
    ("resnet14", 26_900_000, 175_258, 70.5),
    ("resnet20", 40_800_000, 272_474, 72.8),
];

/// A number between −1 and 1 that looks drawn, the same for the same numbers.
fn noise(numbers: [usize; 4]) -> f64 {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for number in numbers {
        state = (state ^ number as u64).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        state ^= state >> 29;
    }
    (state % 20_001) as f64 / 10_000.0 - 1.0
}

struct Shape {
    methods: usize,
    students: usize,
    seeds: usize,
    classes: usize,
    epochs: usize,
}

/// Methods and students crossed; method 0 is what others are compared with.
fn crossed(shape: &Shape) -> StudyResults {
    let mut results = StudyResults {
        name: "few-labels".to_owned(),
        recipe:
            "[data]\npath = \"/data/cifar-10\"\n\n[study]\nstudents = [\"resnet8\"]\nseeds = 8\n"
                .to_owned(),
        command: "limbeck study /home/user/studies/few-labels.toml --out few-labels".to_owned(),
        seeds: shape.seeds,
        measure: Some(Measure::percent(
            "top1",
            "top-1 accuracy",
            "most probable class is right",
            0.0,
        )),
        measures: vec![
            Measure::percent(
                "top1",
                "top-1 accuracy",
                "most probable class is right",
                0.0,
            ),
            Measure::percent(
                "top5",
                "top-5 accuracy",
                "right class among the 5 most probable",
                0.0,
            ),
            Measure::cost(
                "loss",
                "cross entropy",
                "with the right classes",
                "nats",
                0.0,
            ),
            Measure::percent(
                "calibration_error",
                "calibration error",
                "15 bins of confidence",
                0.0,
            )
            .lower_is_better(),
            Measure::percent(
                "agreement",
                "agreement with the teacher",
                "same class chosen",
                0.0,
            ),
        ],
        classes: (0..shape.classes)
            .map(|class| format!("thing {class}"))
            .collect(),
        teachers: vec![StudyTeacher {
            source: "resnet56".to_owned(),
            network: "resnet56".to_owned(),
            data: "cifar-10".to_owned(),
            params: 855_770,
            macs: 126_000_000,
            value: 78.4,
        }],
        environment: BTreeMap::from([("processor".to_owned(), "AMD EPYC".to_owned())]),
        ..StudyResults::default()
    };
    for student in 0..shape.students {
        for method in 0..=shape.methods {
            results.cells.push(cell(shape, student, method));
        }
    }
    results
}

fn cell(shape: &Shape, student: usize, method: usize) -> StudyCell {
    let (network, macs, params, reached) = STUDENTS[student];
    let name = method
        .checked_sub(1)
        .map_or("none", |method| METHODS[method]);
    let gain = match method {
        0 => 0.0,
        _ => 0.4 + 2.1 * noise([method, student / 2, 0, 1]),
    };
    let run = |seed: usize| {
        let of = |what| noise([method, student, seed, what]);
        let value = reached + gain + 0.8 * noise([student, seed, 0, 2]) + 0.7 * of(3);
        let mut measures = BTreeMap::from([
            ("top1".to_owned(), value),
            ("top5".to_owned(), 95.0 + gain / 2.0 + of(4)),
            ("loss".to_owned(), 1.0 - gain / 20.0 + 0.05 * of(5)),
            ("calibration_error".to_owned(), 4.0 + 2.0 * of(6)),
        ]);
        if method > 0 {
            measures.insert("agreement".to_owned(), 80.0 + gain + of(7));
        }
        let curve = (1..=shape.epochs).map(|epoch| {
            let share = 1.0 - (-4.0 * epoch as f64 / shape.epochs as f64).exp();
            20.0 + (value - 20.0) * share + 2.0 * noise([method, seed, epoch, 8])
        });
        let per_class = (0..shape.classes).map(|class| {
            let own = 3.0 * noise([method, class, 0, 9]) * f64::from(method > 0);
            (class != 7)
                .then(|| value + 15.0 * noise([class, 0, 0, 10]) + own + 2.0 * of(11 + class))
        });
        StudyRun {
            seed: seed as u64,
            measures,
            per_class: per_class.collect(),
            curve: curve.collect(),
            seconds: 60.0
                * (1.0 + student as f64)
                * (1.0 + 12.0 * noise([method, 0, 0, 12]).max(0.0) * f64::from(method > 0).powi(2)),
            memory: Some(
                (117e6 * (1.0 + f64::from(method > 0) * (0.6 + 0.5 * noise([method, 0, 0, 13]))))
                    as u64,
            ),
        }
    };
    StudyCell {
        name: format!("{name}-{network}"),
        data: "cifar-10".to_owned(),
        train: 2000,
        test: 10_000,
        teacher: (method > 0).then(|| "resnet56".to_owned()),
        student: network.to_owned(),
        method: name.to_owned(),
        epochs: shape.epochs,
        compared_with: (method > 0).then(|| format!("none-{network}")),
        over_both: (method > 0 && shape.seeds > 1).then_some([gain - 1.1, gain + 1.2]),
        params,
        macs,
        runs: (0..shape.seeds).map(run).collect(),
        ..StudyCell::default()
    }
}

const SIXTY: Shape = Shape {
    methods: 60,
    students: 1,
    seeds: 8,
    classes: 10,
    epochs: 240,
};

#[test]
fn sixty_methods_have_a_page_that_is_not_heavy() {
    let mut results = crossed(&SIXTY);
    for cell in &mut results.cells {
        cell.warnings = vec!["the last epoch is the best: more epochs may do better".to_owned()];
    }
    let page = checked("study-sixty", study_page(&results));
    assert!(page.len() < 600_000, "{} bytes", page.len());
    for part in [
        "id=\"gains\"",
        "id=\"trade\"",
        "id=\"classes\"",
        "id=\"others\"",
        "id=\"curves\"",
        "id=\"o-memory\"",
        "id=\"v-worse\"",
        "Calibration error<small>%</small>",
        "against memory",
        "and 57 more: the last epoch is the best",
    ] {
        assert!(page.contains(part), "{part} is missing");
    }
    // Of one student there is nothing to choose, and networks have one size.
    assert!(!page.contains("id=\"s-all\"") && !page.contains("Pareto"));
    assert_eq!(page.matches("<figure class=\"c r").count(), 60);
}

#[test]
fn three_students_can_be_chosen_and_have_a_front() {
    let results = crossed(&Shape {
        methods: 20,
        students: 3,
        seeds: 5,
        classes: 100,
        epochs: 60,
    });
    let page = checked("study-three", study_page(&results));
    for part in [
        "id=\"s-all\" checked=\"checked\"",
        "id=\"s-s2\"",
        "Pareto front",
        "The 20 of 99 classes",
        "for each student, data and shots",
        "of 60 pairs of method and student are shown",
    ] {
        assert!(page.contains(part), "{part} is missing");
    }
    // Every row is in the tables of gains, classes and measures, in two charts of gains, one of sizes, and
    // has a curve.
    assert_eq!(page.matches("class=\"c r17 ").count(), 7);
    // Baselines are in the table of measures and the chart of sizes.
    assert_eq!(page.matches("class=\"c vb vw s0\"").count(), 2);
    let csv = study_csv(&results);
    assert!(csv.lines().next().unwrap().contains("memory,memory_ratio"));
}

#[test]
fn everything_that_is_crossed_can_be_chosen() {
    let mut results = crossed(&Shape {
        methods: 6,
        students: 2,
        seeds: 4,
        classes: 10,
        epochs: 20,
    });
    let first = results.cells.clone();
    for (data, teacher, shots) in [
        (
            "cifar-10",
            "runs/teachers/resnet110-trained-for-longer",
            None,
        ),
        ("fashion-mnist (IDX)", "resnet56", Some(10)),
        ("fashion-mnist (IDX)", "resnet56", Some(50)),
    ] {
        for mut cell in first.iter().cloned() {
            let end = shots.map_or("b".to_owned(), |shots| format!("fashion-{shots}"));
            cell.name = format!("{}-{end}", cell.name);
            cell.compared_with = cell.compared_with.map(|other| format!("{other}-{end}"));
            cell.teacher = cell.teacher.map(|_| teacher.to_owned());
            (cell.data, cell.shots) = (data.to_owned(), shots);
            results.cells.push(cell);
        }
    }
    let page = checked("study-many", study_page(&results));
    for part in [
        "<legend>student</legend>",
        "<legend>teacher</legend>",
        "<legend>shots</legend>",
        "<legend>data</legend>",
        // Classes and sizes are those of a data set.
        "<h3>fashion-mnist (IDX)</h3>",
        "fashion-mnist (IDX), 50 images of a class, millions for one image",
        "Classes are told by their numbers",
    ] {
        assert!(page.contains(part), "{part} is missing");
    }
    assert!(!page.contains("<legend>epochs</legend>"));
}

#[test]
fn one_method_leaves_nothing_to_choose() {
    let results = crossed(&Shape {
        methods: 1,
        students: 1,
        seeds: 3,
        ..SIXTY
    });
    let page = checked("study-one", study_page(&results));
    assert!(!page.contains("<input") && page.contains("id=\"gains\""));
}

#[test]
fn a_study_that_has_not_begun_and_one_that_just_has_are_pages() {
    let mut results = crossed(&Shape {
        methods: 12,
        students: 2,
        seeds: 3,
        ..SIXTY
    });
    for (number, cell) in results.cells.iter_mut().enumerate() {
        cell.runs.truncate(match number {
            0..4 => 2,
            4..6 => 1,
            _ => 0,
        });
        if cell.runs.is_empty() {
            (cell.macs, cell.params, cell.over_both) = (0, 0, None);
            cell.data.clear();
        }
    }
    let page = checked("study-begun", study_page(&results));
    assert!(page.contains("no seed is done") && page.contains("Of 5 pairs"));
    for cell in &mut results.cells {
        cell.runs.clear();
    }
    results.measure = None;
    let page = checked("study-none", study_page(&results));
    assert!(page.contains("0 of 78 trainings are done"));
}

#[test]
fn the_null_experiment_shows_its_draws() {
    let mut results = crossed(&Shape {
        methods: 0,
        students: 1,
        seeds: 360,
        epochs: 2,
        classes: 10,
    });
    results.null = Some(NullExperiment {
        seeds: 3,
        draws: (0..60)
            .map(|draw| {
                let (gain, half) = (noise([draw, 1, 1, 1]), 2.0 + noise([draw, 2, 2, 2]));
                NullDraw {
                    gain,
                    over_seeds: [gain - half, gain + half],
                    over_both: Some([gain - 1.2 * half, gain + 1.2 * half]),
                }
            })
            .collect(),
    });
    let page = checked("study-null", study_page(&results));
    assert!(page.contains("id=\"draws\"") && !page.contains("id=\"gains\""));
}

#[test]
fn results_of_before_these_fields_are_read() {
    let mut results = crossed(&Shape {
        methods: 2,
        seeds: 2,
        ..SIXTY
    });
    let mut json = serde_json::to_value(&results).unwrap();
    for field in ["classes", "measures"] {
        json.as_object_mut().unwrap().remove(field);
    }
    let read: StudyResults = serde_json::from_value(json).unwrap();
    results.classes.clear();
    results.measures.clear();
    assert_eq!(read, results);
    assert_eq!(study_rows(&read).len(), 2);
    let page = checked("study-old", study_page(&read));
    assert!(
        page.contains("Classes are told by their numbers")
            && page.contains("Calibration error</th>")
    );
}
