//! The real BCCD, where it is there.

use std::path::Path;
use std::process::Command;

use limbeck_data::{BoxProblem, Found, OpenOptions, find_boxes};

use crate::made::{notes, parts};

#[test]
fn bccd_opens_with_its_parts_and_counts_and_its_flat_boxes_are_named() {
    let archive = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/bccd.tar.xz");
    if !archive.is_file() {
        println!("skipped: there is no {}", archive.display());
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let tar = Command::new("tar")
        .arg("xf")
        .arg(&archive)
        .arg("-C")
        .arg(folder.path())
        .status();
    assert!(tar.unwrap().success());
    let found = find_boxes(folder.path()).unwrap();
    assert_eq!(found.classes, ["Platelets", "RBC", "WBC"]);
    assert_eq!(
        parts(&found),
        [("train", 205), ("validation", 87), ("test", 72)]
    );
    let check: Vec<_> = found.check().into_iter().map(|(_, part)| part).collect();
    let of_class = |class: usize| -> usize {
        let parts = check.iter();
        parts.map(|part| part.by_class[class].boxes).sum()
    };
    let left_out = |problem: BoxProblem| {
        let all = check.iter().flat_map(|part| &part.problems);
        all.filter(move |one| one.problem == problem)
            .collect::<Vec<_>>()
    };
    let flat = left_out(BoxProblem::ZeroSize);
    let places = flat.iter().flat_map(|one| &one.places.examples);
    let mut files: Vec<String> = places
        .map(|place| {
            place
                .file
                .file_name()
                .unwrap()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    files.sort();
    assert_eq!(files, ["BloodImage_00338.xml", "BloodImage_00343.xml"]);
    for name in &files {
        assert!(notes(&found).contains(name), "{}", notes(&found));
    }
    let twice = left_out(BoxProblem::Duplicate);
    let twice: usize = twice.iter().map(|one| one.places.count).sum();
    // Both flat boxes are of red cells, as is whatever is there twice.
    assert_eq!(of_class(0), 361);
    assert_eq!(of_class(1) + 2 + twice, 4155);
    assert_eq!(of_class(2), 372);
    assert!(
        check
            .iter()
            .all(|part| part.without_boxes == 0 && part.most_boxes <= 30)
    );
    let data = Found::from(found);
    let data = data.split(&OpenOptions::default()).unwrap();
    assert_eq!(
        [data.train.len(), data.validation.len(), data.test.len()],
        [205, 87, 72]
    );
    for position in [0, 100, 204] {
        let image = data.train.image(position).unwrap();
        assert_eq!([image.width, image.height, image.channels], [640, 480, 3]);
    }
}
