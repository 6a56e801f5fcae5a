use super::*;

fn read(name: &str, text: &str) -> Result<Option<ClassFile>, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    ClassFile::read(&path).map_err(|e| e.to_string())
}

/// Names with what is stored, and what is ignored.
fn classes(name: &str, text: &str) -> (Vec<(String, Vec<Stored>)>, Vec<Stored>) {
    let file = read(name, text).unwrap().unwrap();
    let entries = file.entries.into_iter();
    (
        entries.map(|entry| (entry.name, entry.stored)).collect(),
        file.ignored,
    )
}

fn of(names: &[(&str, &[Stored])]) -> Vec<(String, Vec<Stored>)> {
    let pair = |(name, stored): &(&str, &[Stored])| ((*name).to_owned(), stored.to_vec());
    names.iter().map(pair).collect()
}

use Stored::{Colour, Id};

#[test]
fn lists_of_names_have_no_ids_of_their_own() {
    let expected = of(&[("road", &[]), ("side walk", &[])]);
    for (name, text) in [
        ("classes.txt", "road\r\n\nside walk\n"),
        ("labels.txt", "__ignore__\nroad\nside walk\n"),
        ("classes.json", r#"["road", "side walk"]"#),
        ("classes.yaml", "- road\n- side walk\n"),
        ("data.yaml", "path: ..\nnames: [road, side walk]\n"),
        ("classes.csv", "name\nroad\nside walk\n"),
    ] {
        assert_eq!(classes(name, text).0, expected, "{name}");
    }
}

#[test]
fn ids_are_read_in_their_order() {
    let expected = of(&[("road", &[Id(2)]), ("sky", &[Id(10)])]);
    for (name, text) in [
        ("classes.txt", "10: sky\n2: road\n"),
        ("classes.json", r#"{"10": "sky", "2": "road"}"#),
        ("classes.yaml", "names:\n  10: sky\n  2: road\n"),
        ("labels.json", r#"{"sky": 10, "road": 2}"#),
        ("classes.csv", "id,name\n2,road\n10,sky\n"),
        (
            "classes.json",
            r#"[{"id": 2, "name": "road"}, {"id": 10, "name": "sky"}]"#,
        ),
    ] {
        assert_eq!(classes(name, text).0, expected, "{name}: {text}");
    }
}

#[test]
fn merged_and_ignored_ids_and_colours_are_read() {
    let text = "classes:\n  0: {name: road, labels: [1, 2]}\n  1: {name: sky, labels: [7]}\n\
                ignore: [11, 12]\n";
    let (entries, ignored) = classes("classes.yaml", text);
    assert_eq!(entries, of(&[("road", &[Id(1), Id(2)]), ("sky", &[Id(7)])]));
    assert_eq!(ignored, [Id(11), Id(12)]);
    let (entries, ignored) = classes("classes.json", r#"{"1": "road", "ignore": 0}"#);
    assert_eq!(entries, of(&[("road", &[Id(1)])]));
    assert_eq!(ignored, [Id(0)]);
    let red = Colour([255, 0, 0]);
    for (name, text) in [
        ("class_dict.csv", "name,r,g,b\nroad,255,0,0\n"),
        ("label_colors.txt", "255 0 0\t\troad\n"),
        ("classes.json", r#"{"road": [255, 0, 0]}"#),
        (
            "classes.json",
            r#"[{"name": "road", "color": [255, 0, 0]}]"#,
        ),
        ("classes.yaml", "- {name: road, labels: [[255, 0, 0]]}"),
    ] {
        assert_eq!(classes(name, text).0, of(&[("road", &[red])]), "{name}");
    }
}

#[test]
fn what_names_no_classes_is_refused_or_passed_over() {
    assert_eq!(read("data.yaml", "path: x\ntrain: images\n").unwrap(), None);
    for (name, text) in [
        ("classes.txt", ""),
        ("classes.json", "{"),
        ("classes.json", "[]"),
        ("classes.json", "[[1]]"),
        ("classes.json", r#"{"0": {"labels": [1]}}"#),
        ("classes.json", r#"{"0": {"name": "a", "labels": [70000]}}"#),
        ("classes.csv", "a,b\n1,2\n"),
        ("classes.csv", "name,r,g,b\nroad,1,2\n"),
    ] {
        assert!(read(name, text).is_err(), "{name}: {text}");
    }
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "[\\[\\]{}:, a-c0-9\n\"'&*-]{0,60}", name in 0usize..4) {
        let name = ["classes.yaml", "classes.json", "classes.csv", "classes.txt"][name];
        let _ = read(name, &text);
    }
}
