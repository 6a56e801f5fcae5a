//! Golden values: every file of a folder is computed in f64 through the code that training uses,
//! and every output and gradient that the file has is compared.
//!
//! The folder is `LIMBECK_GOLDENS`, else `../shared/goldens`, both seen from the workspace's root.
//! A method's files are computed by the adapters in `<method>/golden.rs`, those of architectures by
//! `golden/arch_*.rs`. An adapter reads shapes and hyper-parameters from the file and assumes none
//! of them: other files of the same case must pass too. A file without adapter is pending; of a
//! method that is in the catalogue none may be.

mod arch_cifar_mobilenetv2;
mod arch_cifar_resnet;
mod arch_cifar_resnet50;
mod arch_cifar_shufflenet;
mod arch_cifar_vgg;
mod arch_cifar_wrn;
mod arch_segformer;
mod arch_segmentation;
mod arch_torchvision;
mod arch_vit;
pub mod case;
pub mod compare;
pub mod fixture;
pub mod network;
mod pit;
mod recipe;
pub mod run;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use case::{Case, Identity, Values};
use compare::{Tolerance, differences};

use crate::golden_values;

/// Computes one case of one method.
pub struct Adapter {
    /// `case` of the file's metadata.
    pub case: &'static str,
    /// How far a number may be off.
    pub tolerance: Tolerance,
    /// Everything that the file has as `out.*` or `grad.*`, under the same names. Panics
    /// where the method refuses the file.
    pub run: fn(&Case) -> BTreeMap<String, Values>,
}

/// Adapters by the `method` of their files' metadata.
pub type Adapters = (&'static str, &'static [Adapter]);

/// Those of networks and of arithmetic that methods to come are made of.
static ARCHITECTURES: &[Adapters] = &[
    ("arch_cifar_mobilenetv2", arch_cifar_mobilenetv2::ADAPTERS),
    ("arch_cifar_resnet", arch_cifar_resnet::ADAPTERS),
    ("arch_cifar_resnet50", arch_cifar_resnet50::ADAPTERS),
    ("arch_cifar_shufflenet", arch_cifar_shufflenet::ADAPTERS),
    ("arch_cifar_vgg", arch_cifar_vgg::ADAPTERS),
    ("arch_cifar_wrn", arch_cifar_wrn::ADAPTERS),
    ("arch_deeplabv3", arch_segmentation::DEEPLABV3),
    ("arch_deeplabv3plus", arch_segmentation::DEEPLABV3PLUS),
    ("arch_pspnet", arch_segmentation::PSPNET),
    ("arch_segformer", arch_segformer::ADAPTERS),
    ("arch_torchvision", arch_torchvision::ADAPTERS),
    ("arch_vit", arch_vit::ADAPTERS),
    ("pit", pit::ADAPTERS),
];

/// Cases of methods in the catalogue that belong to a task which is not there yet.
const PENDING: [(&str, &str); 0] = [];

/// Methods without files of their own, and whose files have their values.
const WITHIN: [(&str, &str); 2] = [("mae", "dmae"), ("vqae", "ota")];

const FOLDER_VARIABLE: &str = "LIMBECK_GOLDENS";

/// Where golden files are.
struct Folder {
    path: PathBuf,
    /// Named by the variable, not the default one.
    named: bool,
}

impl Folder {
    /// The folder; says so where there is none.
    fn find() -> Option<Self> {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let named = std::env::var_os(FOLDER_VARIABLE);
        let path = workspace.join(named.as_deref().unwrap_or("../shared/goldens".as_ref()));
        if named.is_none() && !path.is_dir() {
            println!("skipped: set {FOLDER_VARIABLE} to a folder of golden files");
            return None;
        }
        let named = named.is_some();
        Some(Self { path, named })
    }

    /// Its golden files, by name.
    fn files(&self) -> Vec<(String, PathBuf)> {
        let folder = self.path.display();
        let entries = std::fs::read_dir(&self.path)
            .unwrap_or_else(|error| panic!("{FOLDER_VARIABLE}: {folder}: {error}"));
        let mut files: Vec<(String, PathBuf)> = entries
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|e| e == "safetensors"))
            .map(|path| {
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                (name, path)
            })
            .collect();
        files.sort();
        assert!(!files.is_empty(), "no golden files in {folder}");
        files
    }

    /// A line for whoever named the folder, shown though the test passes.
    fn tell(&self, line: &str) {
        match self.named {
            true => writeln!(std::io::stdout(), "golden: {line}").unwrap(),
            false => println!("golden: {line}"),
        }
    }
}

fn adapters() -> impl Iterator<Item = &'static Adapters> {
    golden_values::ADAPTERS.iter().chain(ARCHITECTURES)
}

/// What is wrong with a file.
fn check(case: &Case, adapter: &Adapter) -> Vec<String> {
    match catch_unwind(AssertUnwindSafe(|| (adapter.run)(case))) {
        Ok(found) => differences(case, &found, adapter.tolerance),
        Err(panic) => {
            let text = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("it panicked");
            vec![text.to_owned()]
        }
    }
}

/// Computes all files of `adapters` and names every one that differs.
pub fn compare(&(method, adapters): &Adapters) {
    let Some(folder) = Folder::find() else {
        return;
    };
    let mut report = String::new();
    let (mut compared, mut differing) = (0, 0);
    for (name, path) in folder.files() {
        // What cannot be read fails the test of all files.
        let Ok(Identity { method: its, case }) = Identity::read(&path) else {
            continue;
        };
        let adapter = adapters.iter().find(|adapter| adapter.case == case);
        let Some(adapter) = adapter.filter(|_| its == method) else {
            continue;
        };
        compared += 1;
        let lines = match Case::read(&path) {
            Ok(case) => check(&case, adapter),
            Err(error) => vec![error],
        };
        if let Some(first) = lines.first().and_then(|lines| lines.lines().next()) {
            differing += 1;
            folder.tell(&format!("{name} differs: {first}"));
            report += &format!("\n{name}\n  {}", lines.join("\n  "));
        }
    }
    println!("{compared} golden files compared");
    assert!(report.is_empty(), "{differing} files differ:{report}");
}

#[test]
fn architectures_give_the_golden_values() {
    for adapters in ARCHITECTURES {
        compare(adapters);
    }
}

#[test]
fn every_golden_file_of_the_catalogue_has_an_adapter() {
    let Some(folder) = Folder::find() else {
        return;
    };
    let mut missing = Vec::new();
    for (name, path) in folder.files() {
        let Identity { method, case } =
            Identity::read(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        let known = adapters().find(|(known, _)| *known == method);
        let has_adapter =
            known.is_some_and(|(_, adapters)| adapters.iter().any(|a| a.case == case));
        let expected = PENDING.contains(&(&method, &case));
        if has_adapter {
            assert!(!expected, "{name} has an adapter: take it out of PENDING");
            continue;
        }
        folder.tell(&format!("{name} is pending"));
        if known.is_some() && !expected {
            missing.push(name);
        }
    }
    if !folder.named {
        assert!(missing.is_empty(), "no adapter for {missing:?}");
    }
}

#[test]
fn every_golden_case_has_one_adapter() {
    for (method, adapters) in adapters() {
        let within = WITHIN.iter().any(|(inner, _)| inner == method);
        assert_eq!(adapters.is_empty(), within, "adapters of {method}");
        let cases: BTreeSet<&str> = adapters.iter().map(|adapter| adapter.case).collect();
        assert_eq!(cases.len(), adapters.len(), "{method} has a case twice");
    }
}
