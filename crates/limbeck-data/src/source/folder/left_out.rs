//! What was left out of a data set, and why, in lines for people.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// How many names a line lists.
const LISTED: usize = 5;

/// Why something was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::source) enum Reason {
    /// A file that is no image of a kind that is read.
    NoImage,
    /// An image in no class's folder.
    Unlabelled,
    /// A folder that is no part of the data set.
    Beside,
    /// A part or class without an image.
    Empty,
    /// A mask where images are asked for.
    Mask,
    /// A part of images without masks beside others that have some.
    WithoutMasks,
    /// A folder that limbeck wrote.
    Run,
    /// A folder of masks of saliency.
    Saliency,
    /// A hidden image or folder, and what archive programs of macOS add.
    Hidden,
    /// A link that leads nowhere.
    Dangling,
    /// A link to a folder that it lies in.
    Circle,
    /// A folder too deep below the others.
    Deep,
    /// Neither file nor folder.
    Special,
}

/// What was left out, by reason.
#[derive(Debug, Default)]
pub(in crate::source) struct LeftOut {
    /// Number, and the first few.
    by_reason: BTreeMap<Reason, (usize, Vec<PathBuf>)>,
    /// How many files of each ending are no images.
    endings: BTreeMap<String, usize>,
}

impl LeftOut {
    pub fn add(&mut self, reason: Reason, path: &Path) {
        self.add_several(reason, path, 1);
    }

    /// Adds `count` of which `path` is one.
    pub fn add_several(&mut self, reason: Reason, path: &Path, count: usize) {
        if count == 0 {
            return;
        }
        let (number, first) = self.by_reason.entry(reason).or_default();
        *number += count;
        if first.len() < LISTED {
            first.push(path.to_owned());
        }
        if reason == Reason::NoImage {
            let ending = path.extension().map_or_else(
                || "without ending".to_owned(),
                |end| format!(".{}", end.to_string_lossy().to_lowercase()),
            );
            *self.endings.entry(ending).or_default() += 1;
        }
    }

    pub fn is_empty(&self) -> bool {
        self.by_reason.is_empty()
    }

    /// A line for each reason.
    pub fn lines(&self) -> Vec<String> {
        let line = |(reason, (count, first)): (&Reason, &(usize, Vec<PathBuf>))| {
            let example = first
                .first()
                .map_or_else(String::new, |path| path.display().to_string());
            match reason {
                Reason::NoImage => format!(
                    "left out: {count} files that are no images of a kind that is read ({}), such \
                     as {example}",
                    self.by_ending()
                ),
                Reason::Unlabelled => format!(
                    "left out: {count} images that lie in no class's folder, such as {example}"
                ),
                Reason::Mask => {
                    format!("left out: {count} masks of the images, such as {example}")
                }
                _ => format!("left out: {}: {}", reason.name(), listed(first, *count)),
            }
        };
        self.by_reason.iter().map(line).collect()
    }

    /// Endings with their counts, the most frequent first.
    fn by_ending(&self) -> String {
        let mut endings: Vec<(&String, &usize)> = self.endings.iter().collect();
        endings.sort_by(|a, b| b.1.cmp(a.1));
        let more = endings.len().saturating_sub(LISTED);
        let mut texts: Vec<String> = endings
            .iter()
            .take(LISTED)
            .map(|(ending, count)| format!("{count} {ending}"))
            .collect();
        if more > 0 {
            texts.push(format!("and {more} more endings"));
        }
        texts.join(", ")
    }
}

impl Reason {
    /// What is left out for this reason, in the plural.
    fn name(self) -> &'static str {
        match self {
            Self::NoImage => "files that are no images of a kind that is read",
            Self::Unlabelled => "images that lie in no class's folder",
            Self::Beside => "folders that are no part of the data set",
            Self::Empty => "folders without an image",
            Self::Mask => "masks of the images",
            Self::WithoutMasks => "parts without masks",
            Self::Run => "folders that limbeck wrote",
            Self::Saliency => "masks of saliency, which `dilo` reads",
            Self::Hidden => "what is hidden",
            Self::Dangling => "links that lead nowhere",
            Self::Circle => "links to folders that they lie in",
            Self::Deep => "folders too deep below the others",
            Self::Special => "what is neither file nor folder",
        }
    }
}

fn listed(first: &[PathBuf], count: usize) -> String {
    let names: Vec<String> = first
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let more = count.saturating_sub(names.len());
    match more {
        0 => names.join(", "),
        _ => format!("{} and {more} more", names.join(", ")),
    }
}
