//! What is made from the studies in `docs/study`: their tables, the rows on the pages of methods, the README's
//! table, and the rows in the program.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests end by panicking"
)]

use std::path::{Path, PathBuf};

use limbeck::methods::METHODS;
use limbeck::report::{
    EvidenceRow, StudyResults, evidence_of, evidence_table, study_csv, study_document,
    study_markdown,
};

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Folder and results of each study, by name.
fn studies() -> Vec<(PathBuf, StudyResults)> {
    let folder = workspace().join("docs/study");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path().join("results.json"))
        .filter(|file| file.is_file())
        .collect();
    files.sort();
    let read = |file: PathBuf| {
        let results = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
        (file.parent().unwrap().to_owned(), results)
    };
    files.into_iter().map(read).collect()
}

/// Writes the file where that is asked for; fails where it has another text.
fn expect(file: &Path, text: &str) {
    if std::env::var_os("LIMBECK_WRITE_DOCS").is_some() {
        std::fs::write(file, text).unwrap();
    }
    assert!(
        std::fs::read_to_string(file).unwrap_or_default() == text,
        "{} is stale; run this test with LIMBECK_WRITE_DOCS=1",
        file.display()
    );
}

#[test]
fn tables_of_studies_are_those_of_their_results() {
    for (folder, results) in studies() {
        assert_eq!(folder.file_name().unwrap(), results.name.as_str());
        expect(&folder.join("results.md"), &study_document(&results));
        expect(&folder.join("results.csv"), &study_csv(&results));
        // The recipe that the commands name.
        let recipe = std::fs::read_to_string(folder.join("study.toml")).unwrap();
        let table: toml::Table = recipe.parse().unwrap();
        assert_eq!(table, results.recipe.parse().unwrap(), "{}", results.name);
    }
}

#[test]
fn the_program_and_the_pages_of_methods_have_the_rows_of_the_studies() {
    let all: Vec<EvidenceRow> = (studies().iter())
        .flat_map(|(_, results)| evidence_of(results))
        .collect();
    let json = serde_json::to_string_pretty(&all).unwrap() + "\n";
    let rows = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/command/evidence.json");
    expect(&rows, &json);
    for entry in METHODS {
        let file = workspace().join(format!("docs/methods/{}.md", entry.id));
        let own: Vec<&EvidenceRow> = all.iter().filter(|row| row.method == entry.id).collect();
        let mut page = entry.page() + "\n";
        if !own.is_empty() {
            let link = |study: &str| Some(format!("../study/{study}/results.md"));
            page.push_str("\n## Measured\n");
            page.push_str(&evidence_table(own, link));
        }
        expect(&file, &page);
    }
}

/// Around a table in the README that is a study's.
const BEGIN: &str = "<!-- study: ";
const END: &str = "<!-- end of study -->\n";

#[test]
fn the_tables_in_the_readme_are_those_of_studies() {
    let file = workspace().join("README.md");
    let readme = std::fs::read_to_string(&file).unwrap();
    let studies = studies();
    let mut text = String::new();
    let mut rest = readme.as_str();
    while let Some((before, after)) = rest.split_once(BEGIN) {
        let (name, old) = after.split_once(" -->\n").unwrap();
        let (_, behind) = old.split_once(END).unwrap();
        let (_, results) = (studies.iter())
            .find(|(_, results)| results.name == name)
            .unwrap_or_else(|| panic!("README.md names a study `{name}`"));
        let table = study_markdown(results);
        text.push_str(&format!("{before}{BEGIN}{name} -->\n{table}{END}"));
        rest = behind;
    }
    text.push_str(rest);
    expect(&file, &text);
}
