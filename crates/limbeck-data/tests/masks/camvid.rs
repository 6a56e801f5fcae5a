//! The real CamVid, where it is there.

use std::path::Path;
use std::process::Command;

use limbeck_data::{OpenOptions, VOID, find};

use crate::made::{classes, ids, notes, parts};

#[test]
fn camvid_opens_with_its_parts_classes_and_void() {
    let archive = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/camvid.tar");
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
    let found = find(folder.path()).unwrap();
    assert_eq!(
        parts(&found),
        [("train", 367), ("validation", 101), ("test", 233)]
    );
    assert_eq!(classes(&found).len(), 11);
    assert_eq!(classes(&found)[3], "Road");
    assert!(notes(&found).contains("11 is void"), "{}", notes(&found));
    for (_, part) in found.parts() {
        for index in [0, part.len() / 2, part.len() - 1] {
            let mask = ids(&**part, index, 480 * 360);
            assert!(mask.iter().all(|&id| id < 11 || id == VOID));
            assert!(mask.contains(&3), "no road");
        }
    }
    let data = found.split(&OpenOptions::default()).unwrap();
    assert_eq!(data.shape, Some([3, 360, 480]));
}
