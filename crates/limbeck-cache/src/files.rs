//! What is where in a cache's folder, and how it gets there whole.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read},
    path::{Path, PathBuf},
};

use crate::CacheError;

/// The manifest's file.
pub const MANIFEST: &str = "manifest.json";
/// The folder of the shards.
const SHARDS: &str = "shards";
/// Name of the file that is held, by [`lock`], for the moments in which files get their names or
/// lose them.
pub const LOCK: &str = ".lock";

/// The manifest of the cache in `folder`.
pub fn manifest(folder: &Path) -> PathBuf {
    folder.join(MANIFEST)
}

/// The folder of the shards.
pub fn shards(folder: &Path) -> PathBuf {
    folder.join(SHARDS)
}

/// A shard that is whole.
pub fn shard(folder: &Path, number: u64) -> PathBuf {
    folder.join(SHARDS).join(format!("{number:06}.cache"))
}

/// A shard that is being written. Always the same name, so that what a killed process left is
/// taken over by the next.
pub fn partial_shard(folder: &Path, number: u64) -> PathBuf {
    folder.join(SHARDS).join(format!(".{number:06}.partial"))
}

/// Makes an error of the operating system one of ours.
pub fn failed<'a>(
    action: &'static str,
    path: &'a Path,
) -> impl FnOnce(io::Error) -> CacheError + use<'a> {
    move |source| CacheError::Io {
        action,
        path: path.to_owned(),
        source,
    }
}

/// Waits for the folder's lock and holds it until what is returned is dropped, by this process or
/// by its death. It is held for moments only: to claim, to name, or to remove a file.
///
/// # Errors
/// A folder that is missing or cannot be written to, a file system that cannot lock.
pub fn lock(folder: &Path) -> Result<File, CacheError> {
    let path = folder.join(LOCK);
    let file = open_for_writing(&path)?;
    file.lock().map_err(failed("lock", &path))?;
    Ok(file)
}

/// Opens a file for writing, making it where it is missing and keeping what is in it.
pub fn open_for_writing(path: &Path) -> Result<File, CacheError> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(failed("write", path))
}

/// Makes the names in a folder reach the disk; not every system can, which then is left to it.
pub fn sync_names(folder: &Path) {
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
}

/// A name in the folder that is none of a cache's, before there is a manifest.
pub fn foreign(folder: &Path) -> Result<Option<String>, CacheError> {
    let entries = fs::read_dir(folder).map_err(failed("read", folder))?;
    for entry in entries {
        let name = entry.map_err(failed("read", folder))?.file_name();
        let name = name.to_string_lossy();
        if name != LOCK && name != partial_name(MANIFEST) {
            return Ok(Some(name.into_owned()));
        }
    }
    Ok(None)
}

fn partial_name(name: &str) -> String {
    format!(".{name}.partial")
}

/// Writes a small file whole or not at all. The caller holds the folder's lock.
pub fn write_whole(folder: &Path, name: &str, content: &[u8]) -> Result<(), CacheError> {
    let partial = folder.join(partial_name(name));
    let path = folder.join(name);
    let write = || {
        let mut file = File::create(&partial)?;
        io::Write::write_all(&mut file, content)?;
        file.sync_all()?;
        fs::rename(&partial, &path)
    };
    write()
        .inspect_err(|_| {
            let _ = fs::remove_file(&partial);
        })
        .map_err(failed("write", &path))?;
    sync_names(folder);
    Ok(())
}

/// Reads a file of `limit` bytes at the most; `None` where there is none. An error where it is
/// longer.
pub fn read_bounded(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, CacheError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("read", path)(error)),
    };
    let mut content = Vec::new();
    file.take(limit + 1)
        .read_to_end(&mut content)
        .map_err(failed("read", path))?;
    if content.len() as u64 > limit {
        let large = io::Error::other(format!("it has more than {limit} bytes"));
        return Err(failed("read", path)(large));
    }
    Ok(Some(content))
}
