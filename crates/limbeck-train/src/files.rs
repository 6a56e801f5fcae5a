//! Files that are whole or absent, and folders that are never overwritten.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Errors of files and folders.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The operating system refused; after a failed write the old content is still there.
    #[error("cannot {action} {}: {source}{}", path.display(), advice(source))]
    Io {
        /// Such as `write`.
        action: &'static str,
        /// What on.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The folder to make exists.
    #[error(
        "{} exists and is never overwritten; choose another one, such as {}",
        path.display(),
        free.display()
    )]
    Exists {
        /// What was asked for.
        path: PathBuf,
        /// The same name with a number that is free.
        free: PathBuf,
    },
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull => "; free some space and run `limbeck resume`",
        io::ErrorKind::PermissionDenied => "; choose a folder that you may write to",
        _ => "",
    }
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FileError {
    let path = path.to_owned();
    move |source| FileError::Io {
        action,
        path,
        source,
    }
}

/// Writes `bytes` to `path`, replacing what was there.
///
/// # Errors
/// See [`write_whole_with`].
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    write_whole_with(path, |file| file.write_all(bytes))
}

/// Writes what `content` puts out to `path`, replacing what was there. Whenever the machine stops,
/// the file is either the old one or the new one.
///
/// # Errors
/// Whatever the operating system or `content` refuses, such as a full disk. The old file is then
/// untouched and nothing is left beside it.
pub fn write_whole_with(
    path: &Path,
    content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), FileError> {
    limbeck_nn::weights::write_whole(path, content).map_err(io_error("write", path))
}

/// Makes the folder `path`, which must not exist, and the folders above it.
///
/// # Errors
/// [`FileError::Exists`], which proposes a free name, and what the operating system refuses.
pub fn create_new_folder(path: &Path) -> Result<(), FileError> {
    make_above(path)?;
    match fs::create_dir(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(FileError::Exists {
            path: path.to_owned(),
            free: numbered_names(path)
                .find(|name| !name.exists())
                .unwrap_or_default(),
        }),
        Err(error) => Err(io_error("make the folder", path)(error)),
    }
}

/// Makes the folder `path`, or the first free one of `path-2`, `path-3`, …; returns what was made.
///
/// # Errors
/// What the operating system refuses.
pub fn create_numbered_folder(path: &Path) -> Result<PathBuf, FileError> {
    make_above(path)?;
    for name in std::iter::once(path.to_owned()).chain(numbered_names(path)) {
        match fs::create_dir(&name) {
            Ok(()) => return Ok(name),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(io_error("make the folder", &name)(error)),
        }
    }
    Err(io_error("make the folder", path)(
        io::ErrorKind::AlreadyExists.into(),
    ))
}

fn make_above(path: &Path) -> Result<(), FileError> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => {
            fs::create_dir_all(parent).map_err(io_error("make the folder", parent))
        }
        _ => Ok(()),
    }
}

fn numbered_names(path: &Path) -> impl Iterator<Item = PathBuf> + '_ {
    (2_u32..).map(|number| {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!("-{number}"));
        path.with_file_name(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_replaced_as_a_whole_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights");
        write_whole(&path, b"old").unwrap();
        write_whole(&path, b"new and longer").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new and longer");
        assert_eq!(names(folder.path()), ["weights"]);
    }

    #[test]
    fn a_write_that_fails_half_way_leaves_the_old_file_and_no_temporary() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights");
        write_whole(&path, b"old").unwrap();
        let error = write_whole_with(&path, |file| {
            file.write_all(&vec![1; 3 << 20])?;
            Err(io::ErrorKind::StorageFull.into())
        })
        .unwrap_err();
        assert!(error.to_string().contains("free some space"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(folder.path()), ["weights"]);
    }

    #[test]
    fn a_temporary_that_a_kill_left_is_overwritten_by_the_next_write() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights");
        fs::write(folder.path().join(".weights.partial"), b"torn").unwrap();
        write_whole(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(names(folder.path()), ["weights"]);
    }

    #[test]
    fn writing_into_a_missing_folder_names_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("none/weights");
        let error = write_whole(&path, b"x").unwrap_err();
        assert!(error.to_string().contains("none/weights"), "{error}");
    }

    #[test]
    fn an_existing_folder_is_refused_with_a_free_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("runs/kd");
        create_new_folder(&path).unwrap();
        fs::create_dir(folder.path().join("runs/kd-2")).unwrap();
        let error = create_new_folder(&path).unwrap_err();
        assert!(matches!(error, FileError::Exists { .. }));
        assert!(error.to_string().ends_with("kd-3"), "{error}");
        assert_eq!(names(&folder.path().join("runs")), ["kd", "kd-2"]);
    }

    #[test]
    fn numbered_folders_count_up_from_two() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kd");
        let made: Vec<_> = (0..3)
            .map(|_| create_numbered_folder(&path).unwrap())
            .collect();
        let expected = ["kd", "kd-2", "kd-3"].map(|name| folder.path().join(name));
        assert_eq!(made, expected);
    }
}
