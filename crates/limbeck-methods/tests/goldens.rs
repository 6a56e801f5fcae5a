//! Golden values: every file of a folder is computed in f64 through the code that training uses,
//! and every output and gradient that the file has is compared.
//!
//! The folder is `LIMBECK_GOLDENS`, else `../shared/goldens`, both seen from the workspace's root.
//! A file whose `method` and `case` no adapter knows is listed as pending.
//!
//! An adapter is a function in `goldens/<method>.rs`, listed in that file's `ADAPTERS`, which is
//! listed in [`ADAPTERS`] here. It reads shapes and hyper-parameters from the file and assumes
//! none of them: other files of the same case must pass too.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "all of this crate is tests"
)]

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use limbeck_methods::METHODS;

mod goldens {
    //! The adapters and what they share.
    #![allow(dead_code, reason = "adapters choose what they need")]

    pub mod arch_cifar_mobilenetv2;
    pub mod arch_cifar_resnet;
    pub mod arch_cifar_resnet50;
    pub mod arch_cifar_shufflenet;
    pub mod arch_cifar_vgg;
    pub mod arch_cifar_wrn;
    pub mod arch_torchvision;
    pub mod arch_vit;
    pub mod at;
    pub mod byot;
    pub mod cakd;
    pub mod case;
    pub mod compare;
    pub mod crd;
    pub mod cskd;
    pub mod ddgsd;
    pub mod dkd;
    pub mod dlb;
    pub mod dml;
    pub mod dpk;
    pub mod drg;
    pub mod dsr;
    pub mod ffl;
    pub mod fitnet;
    pub mod fixture;
    pub mod hints;
    pub mod hssakd;
    pub mod kd;
    pub mod kdcl;
    pub mod mfef;
    pub mod mgram;
    pub mod network;
    pub mod okddip;
    pub mod one;
    pub mod pixeldistill;
    pub mod pskd;
    pub mod recipe;
    pub mod reviewkd;
    pub mod rkd;
    pub mod rtk;
    pub mod run;
    pub mod sharedhead;
    pub mod sskd;
    pub mod tat;
    pub mod tfkd;
    pub mod tinyvit_store;
    pub mod tst;
    pub mod wtakd;
    pub mod zipf;

    /// Computes one case of one method.
    pub struct Adapter {
        /// `method` of the file's metadata.
        pub method: &'static str,
        /// `case` of the file's metadata.
        pub case: &'static str,
        /// How far a number may be off.
        pub tolerance: compare::Tolerance,
        /// Everything that the file has as `out.*` or `grad.*`, under the same names. Panics
        /// where the method refuses the file.
        pub run: fn(&case::Case) -> std::collections::BTreeMap<String, case::Values>,
    }
}

use goldens::{Adapter, case::Case, compare::differences};

/// All adapters, file by file.
static ADAPTERS: &[&[Adapter]] = &[
    goldens::arch_cifar_mobilenetv2::ADAPTERS,
    goldens::arch_cifar_resnet::ADAPTERS,
    goldens::arch_cifar_resnet50::ADAPTERS,
    goldens::arch_cifar_shufflenet::ADAPTERS,
    goldens::arch_cifar_vgg::ADAPTERS,
    goldens::arch_cifar_wrn::ADAPTERS,
    goldens::arch_torchvision::ADAPTERS,
    goldens::arch_vit::ADAPTERS,
    goldens::at::ADAPTERS,
    goldens::byot::ADAPTERS,
    goldens::cakd::ADAPTERS,
    goldens::crd::ADAPTERS,
    goldens::cskd::ADAPTERS,
    goldens::ddgsd::ADAPTERS,
    goldens::dkd::ADAPTERS,
    goldens::dlb::ADAPTERS,
    goldens::dml::ADAPTERS,
    goldens::dpk::ADAPTERS,
    goldens::drg::ADAPTERS,
    goldens::dsr::ADAPTERS,
    goldens::ffl::ADAPTERS,
    goldens::fitnet::ADAPTERS,
    goldens::hints::ADAPTERS,
    goldens::hssakd::ADAPTERS,
    goldens::kd::ADAPTERS,
    goldens::kdcl::ADAPTERS,
    goldens::mfef::ADAPTERS,
    goldens::mgram::ADAPTERS,
    goldens::okddip::ADAPTERS,
    goldens::one::ADAPTERS,
    goldens::pixeldistill::ADAPTERS,
    goldens::pskd::ADAPTERS,
    goldens::reviewkd::ADAPTERS,
    goldens::rkd::ADAPTERS,
    goldens::rtk::ADAPTERS,
    goldens::sharedhead::ADAPTERS,
    goldens::sskd::ADAPTERS,
    goldens::tat::ADAPTERS,
    goldens::tfkd::ADAPTERS,
    goldens::tinyvit_store::ADAPTERS,
    goldens::tst::ADAPTERS,
    goldens::wtakd::ADAPTERS,
    goldens::zipf::ADAPTERS,
];

/// Files of the default folder without adapter. May only fall: lower it with every adapter.
const PENDING: usize = 64;

const FOLDER_VARIABLE: &str = "LIMBECK_GOLDENS";

/// The folder, and whether it is the default one.
fn folder() -> Option<(PathBuf, bool)> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    if let Some(folder) = std::env::var_os(FOLDER_VARIABLE) {
        return Some((workspace.join(folder), false));
    }
    let folder = workspace.join("../shared/goldens");
    folder.is_dir().then_some((folder, true))
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{FOLDER_VARIABLE}: {}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "safetensors"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no golden files in {}", folder.display());
    files
}

fn adapter(case: &Case) -> Option<&'static Adapter> {
    ADAPTERS
        .iter()
        .flat_map(|adapters| adapters.iter())
        .find(|adapter| adapter.method == case.method && adapter.case == case.case)
}

/// What is wrong with a file: nothing where it has no adapter or agrees.
fn check(case: &Case) -> Vec<String> {
    let Some(adapter) = adapter(case) else {
        return Vec::new();
    };
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

/// Runs all files whose name passes `chosen` and reports all that differ.
fn run(chosen: fn(&str) -> bool) {
    let Some((folder, _)) = folder() else {
        println!("no golden files: set {FOLDER_VARIABLE} to a folder that has them");
        return;
    };
    let mut failed = BTreeMap::new();
    let mut compared = 0;
    for file in files(&folder) {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        if !chosen(&name) {
            continue;
        }
        let differences = match Case::read(&file) {
            Ok(case) => {
                compared += usize::from(adapter(&case).is_some());
                check(&case)
            }
            Err(error) => vec![error],
        };
        if !differences.is_empty() {
            failed.insert(name, differences);
        }
    }
    println!("{compared} golden files compared");
    let report: String = failed
        .iter()
        .map(|(file, lines)| format!("\n{file}\n  {}", lines.join("\n  ")))
        .collect();
    assert!(failed.is_empty(), "{} files differ:{report}", failed.len());
}

fn is_architecture(file: &str) -> bool {
    file.starts_with("arch_")
}

#[test]
fn methods_give_the_golden_values() {
    run(|file| !is_architecture(file));
}

#[test]
fn architectures_give_the_golden_values() {
    run(is_architecture);
}

#[test]
fn the_number_of_pending_golden_files_only_falls() {
    let Some((folder, is_default)) = folder() else {
        println!("no golden files: set {FOLDER_VARIABLE} to a folder that has them");
        return;
    };
    let pending: Vec<String> = files(&folder)
        .iter()
        .filter(|file| adapter(&Case::read(file).unwrap()).is_none())
        .map(|file| file.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    println!("{} pending:\n  {}", pending.len(), pending.join("\n  "));
    if is_default {
        assert!(
            pending.len() <= PENDING,
            "{} files are pending, there were {PENDING}",
            pending.len()
        );
        assert!(
            pending.len() == PENDING,
            "fewer files are pending now: lower PENDING to {}",
            pending.len()
        );
    }
}

#[test]
fn no_two_adapters_claim_the_same_case() {
    let mut names: Vec<(&str, &str)> = ADAPTERS
        .iter()
        .flat_map(|adapters| adapters.iter())
        .map(|adapter| (adapter.method, adapter.case))
        .collect();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
}

#[test]
fn every_method_has_golden_values() {
    for entry in METHODS.iter().filter(|entry| entry.id != "none") {
        let adapters = || ADAPTERS.iter().flat_map(|adapters| adapters.iter());
        assert!(
            adapters().any(|adapter| adapter.method == entry.id),
            "{} has no adapter",
            entry.id
        );
    }
}
