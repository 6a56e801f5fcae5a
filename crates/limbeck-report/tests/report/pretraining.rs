//! Pages of runs that pre-train.

use limbeck_report::{
    EmbeddingMap, Neighbour, Neighbourhood, Plane, Pretrained, Prototype, Reconstructed, Redrawn,
    Results, from_files, render, to_files,
};

use super::checked;
use super::sample::{Noise, distilled, picture};

/// A run with eight neighbourhoods, six reconstructions and a map of `mapped` images of four classes.
fn pretrained(mapped: usize) -> Results {
    let mut noise = Noise(3);
    let mut results = distilled(4, 2, 5);
    results.method = "dmae".into();
    results.beside = Some("mae".into());
    results.data.classes.clear();
    results.data.shape = [3, 32, 32];
    results.disagreements.clear();
    let redrawn = |error: f64, noise: &mut Noise| Redrawn {
        png: picture(1, noise),
        error,
    };
    let reconstructions = (0..6).map(|index| Reconstructed {
        index,
        png: picture(0, &mut noise),
        masked: picture(2, &mut noise),
        student: redrawn(8.0 + index as f64, &mut noise),
        baseline: Some(redrawn(9.5, &mut noise)),
    });
    let reconstructions = reconstructions.collect();
    let mut near = |label: usize, wrong: usize| -> Vec<Neighbour> {
        (0..5)
            .map(|place| Neighbour {
                label: Some(if place < wrong {
                    (label + 1) % 4
                } else {
                    label
                }),
                cosine: 1.0 - place as f64 / 16.0,
                png: picture(0, &mut noise),
            })
            .collect()
    };
    let neighbourhoods = (0..8)
        .map(|index| Neighbourhood {
            index: 11 * index,
            label: Some(index % 4),
            png: String::new(),
            teacher: near(index % 4, 0),
            student: near(index % 4, 2),
            baseline: near(index % 4, 4),
        })
        .collect();
    let mut noise = Noise(5);
    let mut plane = |share| Plane {
        points: (0..mapped)
            .map(|place| {
                let away = (place % 4) as f64;
                [(away + 0.6 * noise.next()) as f32, noise.next() as f32]
            })
            .collect(),
        share,
    };
    let map = EmbeddingMap {
        labels: (0..mapped).map(|place| place % 4).collect(),
        teacher: Some(plane(61.2)),
        student: Some(plane(48.7)),
        baseline: Some(plane(33.4)),
    };
    results.pretrained = Some(Pretrained {
        classes: ["disc", "ring", "cross", "star"]
            .map(str::to_owned)
            .to_vec(),
        reconstructions,
        standardised: false,
        neighbourhoods,
        map,
    });
    results
}

#[test]
fn a_run_that_pretrains_shows_what_its_networks_make_of_images() {
    let page = checked("pretrained", render(&pretrained(300)));
    for part in [
        "id=\"reconstructions\"",
        "id=\"neighbours\"",
        "id=\"map\"",
        "Teacher 40 of 40, Student 24 of 40, Baseline 8 of 40",
        "the plane holds 49\u{a0}% of the variance",
        "Baseline of test image 5",
        "<span class=\"number best\">8.0\u{a0}%</span>",
        "Training image of class ring",
    ] {
        assert!(page.contains(part), "{part} is missing");
    }
    // A path for each class and network, and together a point for each image.
    let map = page.split("id=\"map\"").nth(1).unwrap();
    let map = map.split("</section>").next().unwrap();
    assert_eq!(map.matches("<path").count(), 12);
    assert_eq!(map.matches("h0").count(), 900);
    assert_eq!(page.matches("✗").count(), 8 * 6 + 1);
    assert!(!page.contains("id=\"prototypes\""));
}

#[test]
fn without_labels_there_are_no_marks_and_one_colour() {
    let mut results = pretrained(40);
    let found = results.pretrained.as_mut().unwrap();
    found.classes.clear();
    found.map.labels.clear();
    for case in &mut found.neighbourhoods {
        case.label = None;
        let near = case.teacher.iter_mut().chain(&mut case.student);
        for neighbour in near.chain(&mut case.baseline) {
            neighbour.label = None;
        }
    }
    let page = checked("pretrained-unlabelled", render(&results));
    assert!(!page.contains('✗') && !page.contains('✓') && !page.contains("Right here"));
    let map = page.split("id=\"map\"").nth(1).unwrap();
    let map = map.split("</section>").next().unwrap();
    assert_eq!(map.matches("<path").count(), 3);
    assert!(!map.contains("class=\"legend"));
    assert!(page.contains("id=\"neighbours\""));
}

#[test]
fn the_pictures_are_kept_beside_the_results_and_found_again() {
    let mut results = pretrained(60);
    results.prototypes = vec![Prototype {
        number: 7,
        share: 12.5,
        parts: vec![picture(2, &mut Noise(1)); 6],
    }];
    let (slim, details) = to_files(&results).unwrap();
    assert!(!slim.contains("neighbourhoods") && !slim.contains("prototypes"));
    let back = from_files(&slim, Some(&details)).unwrap();
    assert!(back.pretrained == results.pretrained);
    assert!(back.prototypes == results.prototypes);
    assert_eq!(from_files(&slim, None).unwrap().pretrained, None);
    let page = checked("prototypes", render(&back));
    assert!(page.contains("Prototype 7 <span class=\"number\">12.5\u{a0}%"));
}

#[test]
fn what_went_wrong_is_told_once_in_the_page_and_in_the_results() {
    let mut results = pretrained(20);
    let told = "student-0: the embeddings of different images have become one";
    results.warnings.push(told.to_owned());
    let page = checked("collapsed", render(&results));
    assert_eq!(page.matches(told).count(), 1);
    let (slim, _) = to_files(&results).unwrap();
    assert_eq!(slim.matches(told).count(), 1);
}

#[test]
fn the_page_stays_small_with_a_thousand_images_on_the_map() {
    let few = render(&pretrained(10)).len();
    let many = render(&pretrained(1_000)).len();
    // Three networks, a thousand points of no more than 14 letters.
    assert!(many - few < 3 * 1_000 * 14, "{}", many - few);
}
