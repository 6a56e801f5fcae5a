//! Running the binary in a temporary folder.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tempfile::TempDir;

/// A temporary folder in which the binary is run.
pub struct Place {
    folder: TempDir,
}

impl Place {
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_limbeck"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Finished {
        Finished::of(self.command(arguments).output().unwrap(), arguments)
    }

    /// Runs, expects success, and gives standard output.
    pub fn succeed(&self, arguments: &[&str]) -> String {
        let finished = self.run(arguments);
        assert_eq!(finished.code, 0, "{arguments:?}\n{}", finished.stderr);
        finished.stdout
    }

    /// Runs, expects this exit code and one clear sentence with each of `words`.
    pub fn fail(&self, arguments: &[&str], code: i32, words: &[&str]) -> String {
        let finished = self.run(arguments);
        assert_eq!(finished.code, code, "{arguments:?}\n{}", finished.stderr);
        assert!(
            !finished.stderr.contains("panicked"),
            "{arguments:?}\n{}",
            finished.stderr
        );
        for word in words {
            assert!(
                finished.stderr.contains(word),
                "{arguments:?}: no `{word}` in\n{}",
                finished.stderr
            );
        }
        finished.stderr
    }

    /// A data set of class folders: 8×8 pictures, plain enough for any net.
    pub fn class_folders(&self, name: &str, classes: usize, images: usize) -> PathBuf {
        for part in ["train", "test"] {
            for class in 0..classes {
                for image in 0..images {
                    let file = format!("{name}/{part}/class{class}/{image}.ppm");
                    self.write(&file, picture(class, image));
                }
            }
        }
        self.path(name)
    }

    /// A Fashion-MNIST-like data set of IDX files: `count` pictures in each part.
    pub fn idx(&self, name: &str, count: usize, labels: impl Fn(usize) -> u8) -> PathBuf {
        for part in ["train", "t10k"] {
            let mut images = idx_header(0x0803, &[count, 28, 28]);
            let mut answers = idx_header(0x0801, &[count]);
            for index in 0..count {
                let shade = (index % 10) * 20;
                images.extend((0..28 * 28).map(|pixel| ((pixel * 7 + shade) % 256) as u8));
                answers.push(labels(index));
            }
            self.write(&format!("{name}/{part}-images-idx3-ubyte"), images);
            self.write(&format!("{name}/{part}-labels-idx1-ubyte"), answers);
        }
        self.path(name)
    }
}

/// What a finished process left.
pub struct Finished {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Finished {
    fn of(output: Output, arguments: &[&str]) -> Self {
        Self {
            code: output
                .status
                .code()
                .unwrap_or_else(|| panic!("{arguments:?} ended by {}", output.status)),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

pub fn idx_header(magic: u32, sizes: &[usize]) -> Vec<u8> {
    let mut bytes = magic.to_be_bytes().to_vec();
    for &size in sizes {
        bytes.extend((size as u32).to_be_bytes());
    }
    bytes
}

fn picture(class: usize, image: usize) -> Vec<u8> {
    let mut bytes = b"P6\n8 8\n255\n".to_vec();
    for pixel in 0..64 {
        let on = pixel % (class + 2) == 0;
        bytes.extend([if on { 220 } else { 30 }, (image * 16 % 256) as u8, 90]);
    }
    bytes
}

pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

pub fn bytes(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A run that takes a second or two: few small pictures, the smallest net.
pub fn tiny(command: &str, extra: &[&str]) -> Vec<String> {
    let mut arguments = vec![command.to_owned(), "shapes:120".to_owned()];
    arguments.extend(
        [
            "--epochs",
            "2",
            "--batch",
            "20",
            "--threads",
            "1",
            "--quiet",
        ]
        .map(str::to_owned),
    );
    arguments.extend(extra.iter().map(|&argument| argument.to_owned()));
    arguments
}

/// Makes the run of `arguments` in the folder `undisturbed`, and again in the folder `killed`,
/// killed at this many random moments and resumed each time.
pub fn kill_and_resume(place: &Place, arguments: impl Fn(&str) -> Vec<String>, kills: usize) {
    let undisturbed = arguments("undisturbed");
    let undisturbed: Vec<&str> = undisturbed.iter().map(String::as_str).collect();
    let started = Instant::now();
    place.succeed(&undisturbed);
    let whole = started.elapsed();

    let mut state = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_nanos() as u64;
    println!("random moments from {state}");
    let killed = arguments("killed");
    let mut next: Vec<&str> = killed.iter().map(String::as_str).collect();
    for _ in 0..kills {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let share = (state >> 33) as f64 / (1u64 << 31) as f64;
        let mut child = place.command(&next).spawn().unwrap();
        std::thread::sleep(Duration::from_secs_f64(whole.as_secs_f64() * share * 0.6));
        child.kill().unwrap();
        child.wait().unwrap();
        let begun = ["killed/recipe.toml", "killed/series.json"];
        if begun.iter().any(|file| place.path(file).is_file()) {
            next = vec!["resume", "killed", "--quiet"];
        } else {
            let _ = std::fs::remove_dir_all(place.path("killed"));
        }
    }
    place.succeed(&next);
}
