//! The folder of a run: what is where.
//!
//! ```text
//! runs/kd-resnet8-20261122-101500/
//!   recipe.toml        the resolved recipe; runs again
//!   environment.json   processor, threads, version
//!   data.sha256        hashes of the images that the run began with
//!   jobs/NAME/         one folder for each training: checkpoint, best and last weights, metrics
//!   student/model.safetensors   the deployable student, nothing else in it
//!   results.json       everything that was found, but for:
//!   details.json       what grows with the classes, and the pictures
//!   report.html        the same as a page
//!   failure.txt        why the run failed, where it did
//! ```

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use limbeck_data::{Augment, Dataset};
use limbeck_nn::{Network, weights::SegmentationFacts};
use limbeck_report::{
    DETAILS_FILE, RESULTS_FILE, Results, ResultsError, from_files, render, to_files,
};

use crate::{TrainError, continual, files, model_source, recipe::Recipe};

/// A run's folder, locked against a second process while this value lives.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    _lock: File,
}

impl RunFolder {
    /// Makes a new folder. With `out` exactly that one, which must not exist or be empty; without,
    /// one in `runs/` named after `stem` and the time.
    ///
    /// # Errors
    /// A folder with something in it, or a file system that refuses.
    pub fn create(out: Option<&Path>, stem: &str) -> Result<Self, TrainError> {
        let path = match out {
            Some(path) => {
                if is_taken(path) {
                    return Err(TrainError::Setting(format!(
                        "the output `{}` exists; choose another with --out{}",
                        path.display(),
                        if path.join(RECIPE).is_file() {
                            format!(
                                ", or go on with that run: limbeck resume {}",
                                path.display()
                            )
                        } else {
                            String::new()
                        }
                    )));
                }
                std::fs::create_dir_all(path).map_err(TrainError::io(path))?;
                path.to_owned()
            }
            None => {
                let stem = format!("{stem}-{}", timestamp());
                let wanted = Path::new("runs").join(stem);
                files::create_numbered_folder(&wanted)?
            }
        };
        Self::lock(path)
    }

    /// The folder `path`: that of an earlier run, to go on with it, or a new one with `recipe` in it.
    ///
    /// # Errors
    /// A folder with something else in it, one that another process is working in, or a file system
    /// that refuses.
    pub fn create_or_open(path: &Path, recipe: &Recipe) -> Result<Self, TrainError> {
        if path.join(RECIPE).is_file() {
            return Self::open(path);
        }
        if is_taken(path) {
            return Err(TrainError::RunFolder {
                path: path.to_owned(),
                reason: format!(
                    "there are files in it, and no {RECIPE} that would say what they are of; remove the folder, and \
                     the run is made again"
                ),
            });
        }
        let folder = Self::create(Some(path), &recipe.method.name)?;
        folder.write_recipe(recipe)?;
        Ok(folder)
    }

    /// Opens the folder of an earlier run to go on with it.
    ///
    /// # Errors
    /// A folder that is not a run's, or one that another process is working in.
    pub fn open(path: &Path) -> Result<Self, TrainError> {
        if !path.join(RECIPE).is_file() {
            return Err(not_a_run(path, RECIPE));
        }
        Self::lock(path.to_owned())
    }

    fn lock(path: PathBuf) -> Result<Self, TrainError> {
        let file = path.join(LOCK);
        let lock = File::create(&file).map_err(TrainError::io(&file))?;
        let mut taken = lock.try_lock();
        for _ in 0..LOOKS {
            if !matches!(taken, Err(TryLockError::WouldBlock)) {
                break;
            }
            std::thread::sleep(LOOK);
            taken = lock.try_lock();
        }
        match taken {
            Ok(()) => Ok(Self { path, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(TrainError::RunFolder {
                path,
                reason: "another process is working in this run; wait for it or stop it".to_owned(),
            }),
            Err(TryLockError::Error(source)) => Err(TrainError::Io { path: file, source }),
        }
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Name of the folder.
    pub fn name(&self) -> String {
        self.path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default()
    }

    /// Folder of the job called `name`.
    pub fn job(&self, name: &str) -> PathBuf {
        self.path.join("jobs").join(name)
    }

    /// The deployable student.
    pub fn student(&self) -> PathBuf {
        self.path.join(STUDENT)
    }

    /// Writes `network` as the student to deploy, with all that is needed to use it; weights of few bits as
    /// codes.
    ///
    /// # Errors
    /// A file system that refuses.
    pub fn deploy(
        &self,
        network: &Network,
        augment: &Augment,
        segmentation: Option<SegmentationFacts>,
        classes: &[String],
    ) -> Result<(), TrainError> {
        let path = self.student();
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(TrainError::io(parent))?;
        }
        model_source::save(network, augment, segmentation, classes, true, &path)
    }

    /// Where the page is written.
    pub fn report(&self) -> PathBuf {
        report_of(&self.path)
    }

    /// Writes the resolved recipe, its paths absolute so that they are found again from anywhere,
    /// and what the run runs on.
    ///
    /// # Errors
    /// A file system that refuses.
    pub fn write_recipe(&self, recipe: &Recipe) -> Result<(), TrainError> {
        self.write(RECIPE, recipe.with_absolute_paths().to_toml()?.as_bytes())?;
        let environment = crate::environment::describe();
        let text = serde_json::to_string_pretty(&environment).unwrap_or_default();
        self.write("environment.json", text.as_bytes())
    }

    /// The resolved recipe.
    ///
    /// # Errors
    /// A recipe that cannot be read.
    pub fn recipe(&self) -> Result<Recipe, TrainError> {
        Ok(Recipe::read(&self.path.join(RECIPE))?)
    }

    /// Writes what was found, and the page that shows it.
    ///
    /// # Errors
    /// A file system that refuses.
    pub fn write_results(&self, results: &Results) -> Result<(), TrainError> {
        let (text, details) = to_files(results).map_err(|error| self.unwritten(&error))?;
        // The details first: whoever finds results finds all of them.
        self.write(DETAILS_FILE, details.as_bytes())?;
        self.write(RESULTS_FILE, text.as_bytes())?;
        self.write(REPORT, render(results).as_bytes())
    }

    fn unwritten(&self, error: &ResultsError) -> TrainError {
        TrainError::RunFolder {
            path: self.path.clone(),
            reason: error.to_string(),
        }
    }

    /// Notes what data the run begins with, or compares it with what it began with; `learnt` is the
    /// hash of the images to learn from and to choose by. Gives a line for the user where the test
    /// part alone has changed.
    ///
    /// # Errors
    /// Another training or validation part, a file system that refuses.
    pub fn recognise_data(
        &self,
        dataset: &Dataset,
        learnt: &str,
    ) -> Result<Option<String>, TrainError> {
        let test = dataset.test.fingerprint();
        let path = self.path.join(DATA);
        let begun = match std::fs::read_to_string(&path) {
            Ok(begun) => begun,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let lines = format!("{learnt}  training and validation part\n{test}  test part\n");
                self.write(DATA, lines.as_bytes())?;
                return Ok(None);
            }
            Err(error) => return Err(TrainError::io(path)(error)),
        };
        let mut hashes = begun.lines().map(|line| line.split(' ').next());
        let mut same = |hash: &str| hashes.next().flatten() == Some(hash);
        if !same(learnt) {
            return Err(TrainError::RunFolder {
                path: self.path.clone(),
                reason: format!(
                    "the data is not what the run began with: the training or validation part of \
                     {} has other images (added, removed, renamed or of another length); bring \
                     the old ones back, say where they are (limbeck resume {} --data DIR), or \
                     start a new run",
                    dataset.name,
                    self.path.display()
                ),
            });
        }
        Ok((!same(&test)).then(|| {
            "the test part has changed since the run began; it is tested on as it is now".to_owned()
        }))
    }

    /// Notes why the run failed, so that whatever reads its folder can say it. The failure itself
    /// is what counts: that it cannot be noted, on a full disk, is no second one.
    pub fn note_failure(&self, reason: &TrainError) {
        let _ = self.write(FAILURE, reason.to_string().as_bytes());
    }

    /// Forgets an earlier failure: the run goes on.
    ///
    /// # Errors
    /// A file system that refuses.
    pub fn forget_failure(&self) -> Result<(), TrainError> {
        let path = self.path.join(FAILURE);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(TrainError::io(path)(error))
            }
            _ => Ok(()),
        }
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), TrainError> {
        let path = self.path.join(name);
        files::write_whole(&path, bytes)?;
        Ok(())
    }
}

const LOCK: &str = ".lock";
const RECIPE: &str = "recipe.toml";
const REPORT: &str = "report.html";
const FAILURE: &str = "failure.txt";
const DATA: &str = "data.sha256";
const STUDENT: &str = "student/model.safetensors";

/// Whether nothing can be written as the new folder `path`: it is there, and not an empty folder. One
/// that a run was stopped in before it wrote anything is empty.
pub fn is_taken(path: &Path) -> bool {
    let is_lock =
        |entry: Result<std::fs::DirEntry, _>| entry.is_ok_and(|it| it.file_name() == LOCK);
    path.exists() && !std::fs::read_dir(path).is_ok_and(|mut entries| entries.all(is_lock))
}

/// Who only looks whether a run is busy ([`is_busy`]) has its lock for a moment: it is taken to be busy after so many
/// attempts, so far apart.
const LOOKS: usize = 20;
const LOOK: Duration = Duration::from_millis(5);

/// Whether a process is working in the run's folder `path`.
pub fn is_busy(path: &Path) -> bool {
    let lock = File::open(path.join(LOCK));
    lock.is_ok_and(|lock| matches!(lock.try_lock(), Err(TryLockError::WouldBlock)))
}

/// The page of the run in `path`.
pub fn report_of(path: &Path) -> PathBuf {
    path.join(REPORT)
}

/// The resolved recipe of the run in `path`; `None` where it is no run's folder.
///
/// # Errors
/// A recipe that cannot be read.
pub fn recipe_of(path: &Path) -> Result<Option<Recipe>, TrainError> {
    let file = path.join(RECIPE);
    if !file.is_file() {
        return Ok(None);
    }
    Ok(Some(Recipe::read(&file)?))
}

/// Why the run in `path` failed the last time that it was gone on with; `None` where it did not.
pub fn failure_of(path: &Path) -> Option<String> {
    std::fs::read_to_string(path.join(FAILURE)).ok()
}

/// The deployable model of the run in `path`.
///
/// # Errors
/// A folder that is not a finished run's.
pub fn student_of(path: &Path) -> Result<PathBuf, TrainError> {
    let file = path.join(STUDENT);
    if file.is_file() {
        return Ok(file);
    }
    Err(not_a_run(path, STUDENT))
}

/// What the run in `path` found.
///
/// # Errors
/// A folder that is not a finished run's, or a damaged `results.json`.
pub fn results_of(path: &Path) -> Result<Results, TrainError> {
    if !path.join(RESULTS_FILE).is_file() {
        return Err(not_a_run(path, RESULTS_FILE));
    }
    read_results(path)?.map_err(|error| unreadable(path, &error))
}

/// What the run in `path` found, if it is finished. Damaged results are as none: going on with the
/// run writes them again.
///
/// # Errors
/// Results that a later version wrote, which are not to be written over; files that cannot be read.
pub fn finished(path: &Path) -> Result<Option<Results>, TrainError> {
    if !path.join(RESULTS_FILE).is_file() {
        return Ok(None);
    }
    match read_results(path)? {
        Ok(results) => Ok(Some(results)),
        Err(error @ ResultsError::Later { .. }) => Err(unreadable(path, &error)),
        Err(_) => Ok(None),
    }
}

fn read_results(path: &Path) -> Result<Result<Results, ResultsError>, TrainError> {
    let read = |file: &Path| std::fs::read(file).map_err(TrainError::io(file));
    // Bytes that are no text are damage like any other.
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let beside = path.join(DETAILS_FILE);
    let details = match beside.is_file() {
        true => Some(text(read(&beside)?)),
        false => None,
    };
    let results = text(read(&path.join(RESULTS_FILE))?);
    Ok(from_files(&results, details.as_deref()))
}

fn unreadable(path: &Path, error: &ResultsError) -> TrainError {
    TrainError::RunFolder {
        path: path.join(RESULTS_FILE),
        reason: match error {
            ResultsError::Later { .. } => error.to_string(),
            _ => format!("{error}; `limbeck resume` writes them again"),
        },
    }
}

fn not_a_run(path: &Path, missing: &str) -> TrainError {
    let reason = if !path.exists() {
        "there is no such folder".to_owned()
    } else if let Ok(failure) = std::fs::read_to_string(path.join(FAILURE)) {
        format!(
            "the run has failed: {failure} (when that is mended: limbeck resume {})",
            path.display()
        )
    } else if path.join(continual::RESULTS).is_file() {
        format!(
            "classes are learnt in steps there, which have a page of their own (no `{missing}`): \
             limbeck report {}",
            path.display()
        )
    } else if path.join(RECIPE).is_file() {
        format!(
            "the run is not finished (no `{missing}`); go on with it: limbeck resume {}",
            path.display()
        )
    } else {
        format!("not the folder of a run (no `{missing}`)")
    };
    TrainError::RunFolder {
        path: path.to_owned(),
        reason,
    }
}

/// The time now in UTC as `YYYYMMDD-HHMMSS`.
/// The time, as folders are named by it.
pub fn timestamp() -> String {
    let seconds = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_secs());
    let (year, month, day) = civil_date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}{month:02}{day:02}-{hour:02}{minute:02}{second:02}")
}

/// Year, month and day of the Gregorian calendar, `days` after 1 January 1970. Counts in eras of
/// 400 years that begin on 1 March, so that the leap day is the last day of a year.
fn civil_date(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_since_1970_become_dates_across_leap_years() {
        assert_eq!(civil_date(0), (1970, 1, 1));
        assert_eq!(civil_date(11_016), (2000, 2, 29));
        assert_eq!(civil_date(11_017), (2000, 3, 1));
        assert_eq!(civil_date(20_779), (2026, 11, 22));
    }

    #[test]
    fn an_existing_output_folder_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("mine.txt"), "mine").unwrap();
        let error = RunFolder::create(Some(folder.path()), "x").unwrap_err();
        assert!(error.to_string().contains("exists"));
        let kept = std::fs::read_to_string(folder.path().join("mine.txt")).unwrap();
        assert_eq!(kept, "mine");
    }

    #[test]
    fn an_empty_output_folder_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunFolder::create(Some(folder.path()), "x").unwrap();
        assert_eq!(run.path(), folder.path());
    }

    #[test]
    fn a_second_process_in_the_same_run_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run");
        let held = RunFolder::create(Some(&path), "x").unwrap();
        std::fs::write(path.join(RECIPE), "").unwrap();
        let error = RunFolder::open(&path).unwrap_err();
        assert!(error.to_string().contains("another process"));
        drop(held);
        RunFolder::open(&path).unwrap();
    }
}
