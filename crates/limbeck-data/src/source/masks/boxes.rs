//! Boxes of objects that lie beside masks: nothing here reads them, which is to be said.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::source::folder::Tree;

/// Files of each kind that are looked into: the first of them may have no object.
const LOOKED_AT: usize = 16;

/// Bytes of a file that are looked at.
const START: u64 = 64 << 10;

/// How files of a kind end, what they are called, and whether a text is the start of one with boxes.
type Kind = (&'static str, &'static str, fn(&str) -> bool);

/// That there are boxes in files below `folder`, of which kind and where; `None` where there are none.
pub(super) fn note(folder: &Path, tree: &Tree) -> Option<String> {
    let kinds: [Kind; 3] = [
        ("json", "COCO's JSON", is_coco),
        ("txt", "YOLO's labels", is_yolo),
        ("xml", "VOC's XML", is_voc),
    ];
    let found = kinds.into_iter().filter_map(|(ending, kind, holds)| {
        let mut files = Vec::new();
        tree.collect_others(Path::new(""), ending, &mut files);
        files.sort();
        let first = first_with(folder, files, holds)?;
        Some(format!("{kind}, such as {}", first.display()))
    });
    let found: Vec<String> = found.collect();
    (!found.is_empty()).then(|| {
        format!(
            "boxes of objects lie there too ({}): the masks are read, boxes are not",
            found.join("; ")
        )
    })
}

fn first_with(folder: &Path, files: Vec<PathBuf>, holds: fn(&str) -> bool) -> Option<PathBuf> {
    // Spread over all, since the first folder may hold others.
    let step = files.len().div_ceil(LOOKED_AT).max(1);
    files
        .into_iter()
        .step_by(step)
        .find(|file| start_of(&folder.join(file)).is_some_and(|text| holds(&text)))
}

/// The first bytes of a file as text.
fn start_of(path: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    let file = File::open(path).ok()?;
    file.take(START).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// COCO's instances: boxes, or the list of images that goes before them.
fn is_coco(text: &str) -> bool {
    let has = |key: &str| text.contains(&format!("\"{key}\""));
    has("bbox") || has("images") && has("file_name")
}

/// Lines of a class's number and four numbers or more from 0 to 1.
fn is_yolo(text: &str) -> bool {
    let whole = match text.len() as u64 >= START {
        true => text.rsplit_once('\n').map_or("", |(whole, _)| whole),
        false => text,
    };
    let mut lines = whole
        .lines()
        .filter(|line| !line.trim().is_empty())
        .peekable();
    lines.peek().is_some()
        && lines.all(|line| {
            let mut words = line.split_whitespace();
            let class = words.next().is_some_and(|word| word.parse::<u32>().is_ok());
            let numbers: Vec<Option<f64>> = words.map(|word| word.parse().ok()).collect();
            let within = |number: &Option<f64>| number.is_some_and(|n| (0.0..=1.0).contains(&n));
            class && numbers.len() >= 4 && numbers.iter().all(within)
        })
}

/// VOC's annotations.
fn is_voc(text: &str) -> bool {
    text.contains("<bndbox>")
}
