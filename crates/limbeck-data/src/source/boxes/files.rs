//! Files of annotations, and the images that they name.

use std::fs::File;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use crate::DataError;
use crate::decode::{Header, IMAGE_EXTENSIONS};

/// The bytes of a file, of which there may be `most`.
///
/// # Errors
/// A file that cannot be read, that is none, or that is too long.
pub(super) fn read(path: &Path, most: u64) -> Result<Vec<u8>, DataError> {
    let metadata = std::fs::metadata(path).map_err(|e| DataError::io(path, e))?;
    if !metadata.is_file() {
        // Opening a pipe would wait for somebody to write into it.
        return Err(DataError::Layout {
            path: path.to_owned(),
            reason: "it is no regular file".to_owned(),
        });
    }
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(most + 1).read_to_end(&mut bytes))
        .map_err(|e| DataError::io(path, e))?;
    if bytes.len() as u64 > most {
        let reason = format!(
            "it has more than {} MB, which no such file needs",
            most >> 20
        );
        return Err(DataError::corrupt(path, reason));
    }
    Ok(bytes)
}

/// The text of a file, of which there may be `most` bytes; a mark of its byte order is dropped.
///
/// # Errors
/// Those of [`read`], and what is not UTF-8.
pub(super) fn read_text(path: &Path, most: u64) -> Result<String, DataError> {
    let text = String::from_utf8(read(path, most)?)
        .map_err(|_| DataError::corrupt(path, "it is not UTF-8 text"))?;
    Ok(match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_owned(),
        None => text,
    })
}

/// The first bytes of a file as text.
pub(super) fn start_of(path: &Path) -> String {
    const START: u64 = 64 << 10;
    let mut bytes = Vec::new();
    let regular = std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file());
    if regular && let Ok(file) = File::open(path) {
        // What cannot be read is told where it is read whole.
        let _ = file.take(START).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Where an image is that a file names, perhaps by a path of Windows or of another machine: under the
/// first of `roots` that has it, with the whole path or else with the longest end of it. `true` where
/// only an end of the path leads there.
pub(super) fn locate(roots: &[PathBuf], named: &str) -> Option<(PathBuf, bool)> {
    let named = named.trim().replace('\\', "/");
    let path = Path::new(&named);
    if path.is_absolute() && path.is_file() {
        return Some((tidy(path), false));
    }
    let steps: Vec<&str> = named
        .split('/')
        .filter(|step| !step.is_empty() && *step != ".")
        .collect();
    (0..steps.len()).find_map(|skipped| {
        let end = steps[skipped..].join("/");
        let found = roots
            .iter()
            .map(|root| root.join(&end))
            .find(|path| path.is_file())?;
        Some((tidy(&found), skipped > 0))
    })
}

/// A path without steps that lead nowhere, so that equal files have equal paths.
pub(super) fn tidy(path: &Path) -> PathBuf {
    let mut tidy = PathBuf::new();
    for step in path.components() {
        match step {
            Component::CurDir => {}
            Component::ParentDir
                if matches!(tidy.components().next_back(), Some(Component::Normal(_))) =>
            {
                tidy.pop();
            }
            step => tidy.push(step),
        }
    }
    match tidy.as_os_str().is_empty() {
        true => PathBuf::from("."),
        false => tidy,
    }
}

/// The images in a folder that are called `stem`, whatever their ending, in the order of
/// [`IMAGE_EXTENSIONS`].
pub(super) fn images_called(folder: &Path, stem: &str) -> Vec<PathBuf> {
    let spelled = |end: &&str| [(*end).to_owned(), end.to_uppercase()];
    let named = IMAGE_EXTENSIONS.iter().flat_map(spelled);
    named
        .map(|end| folder.join(format!("{stem}.{end}")))
        .filter(|path| path.is_file())
        .collect()
}

/// What an image's header says; `None` where it cannot be read.
pub(super) fn header(path: &Path) -> Option<Header> {
    Header::read(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_found_by_whole_paths_before_ends_of_paths() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for file in ["a.jpg", "images/a.jpg", "images/x/b.jpg"] {
            std::fs::create_dir_all(root.join(file).parent().unwrap()).unwrap();
            std::fs::write(root.join(file), "").unwrap();
        }
        let roots = [root.to_owned(), root.join("images")];
        let found = |named: &str| {
            let (path, by_end) = locate(&roots, named)?;
            Some((path.strip_prefix(root).unwrap().to_owned(), by_end))
        };
        assert_eq!(
            found("./images/a.jpg"),
            Some(("images/a.jpg".into(), false))
        );
        assert_eq!(found("a.jpg"), Some(("a.jpg".into(), false)));
        assert_eq!(found("x\\b.jpg"), Some(("images/x/b.jpg".into(), false)));
        assert_eq!(
            found("C:\\data\\x\\b.jpg"),
            Some(("images/x/b.jpg".into(), true))
        );
        assert_eq!(
            found("/nowhere/images/a.jpg"),
            Some(("images/a.jpg".into(), true))
        );
        assert_eq!(found("images/../a.jpg"), Some(("a.jpg".into(), false)));
        assert_eq!(found("c.jpg"), None);
        assert_eq!(found(""), None);
    }

    #[test]
    fn files_that_are_too_long_or_no_text_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        std::fs::write(&path, [0xef, 0xbb, 0xbf, b'a']).unwrap();
        assert_eq!(read_text(&path, 4).unwrap(), "a");
        assert!(
            read_text(&path, 3)
                .unwrap_err()
                .to_string()
                .contains("more than")
        );
        std::fs::write(&path, [0xff, 0xfe]).unwrap();
        assert!(
            read_text(&path, 4)
                .unwrap_err()
                .to_string()
                .contains("UTF-8")
        );
        assert!(read(folder.path(), 4).is_err());
    }
}
