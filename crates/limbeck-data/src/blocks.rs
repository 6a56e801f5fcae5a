//! Which images belong together, as their names say: frames of one film, slices of one body.
//!
//! Neighbouring frames show nearly the same. An interval that takes each of them for a picture of its
//! own is far too narrow; one over blocks of frames is not.

use std::collections::{HashMap, HashSet};

use crate::{DataError, Part};

/// How names say which images belong together, such as `{drive}_{frame:900}`.
///
/// - `{word}`, whatever the word, stands for any text; images with the same text belong together;
/// - `{frame:N}` stands for a number; of it, the run of `N` numbers that it falls into counts, so
///   that one long film has several blocks;
/// - `{frame}` stands for a number that says nothing, `*` for a text that says nothing;
/// - everything else stands for itself.
///
/// A pattern is held against the whole name of a file, without extension; one with `/` against the
/// folders before it as well. Where several readings fit, earlier texts are as long as possible, but
/// numbers are read whole: `{drive}{frame:900}` fits `0001TP_008550` and `Seq05VD_f00000`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockPattern {
    pieces: Vec<Piece>,
    /// Folders before the file's name that are looked at.
    folders: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    /// Stands for itself.
    Literal(String),
    /// Any text; whether it counts.
    Text { counts: bool },
    /// A number, and the length of the runs that count.
    Number { run: Option<u64> },
}

impl std::str::FromStr for BlockPattern {
    type Err = DataError;

    /// Reads a pattern.
    ///
    /// # Errors
    /// [`DataError::Setting`] for `block`: braces that do not match, two texts side by side, or nothing
    /// that tells one block from another.
    fn from_str(text: &str) -> Result<Self, DataError> {
        let refuse = |expected: &str| Err(DataError::setting("block", expected, text));
        let mut pieces: Vec<Piece> = Vec::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let piece = match first {
                '{' => {
                    let Some((inside, after)) = rest[1..].split_once('}') else {
                        return refuse("a pattern in which every `{` has its `}`");
                    };
                    rest = after;
                    match inside.split_once(':') {
                        None if inside == "frame" => Piece::Number { run: None },
                        Some(("frame", run)) => match run.parse() {
                            Ok(run) if run > 0 => Piece::Number { run: Some(run) },
                            _ => return refuse("a pattern with a number above 0 after `frame:`"),
                        },
                        None if is_word(inside) => Piece::Text { counts: true },
                        _ => {
                            return refuse(
                                "a pattern of texts, `{word}`, `{frame}`, `{frame:N}` and `*`",
                            );
                        }
                    }
                }
                '*' => {
                    rest = &rest[1..];
                    Piece::Text { counts: false }
                }
                '}' => return refuse("a pattern in which every `}` has its `{`"),
                _ => {
                    let end = rest.find(['{', '}', '*']).unwrap_or(rest.len());
                    let (literal, after) = rest.split_at(end);
                    rest = after;
                    Piece::Literal(literal.to_owned())
                }
            };
            if matches!(piece, Piece::Text { .. })
                && matches!(pieces.last(), Some(Piece::Text { .. }))
            {
                return refuse("a pattern with something between any two texts");
            }
            pieces.push(piece);
        }
        let tells = |piece: &Piece| match piece {
            Piece::Literal(_) => false,
            Piece::Text { counts } => *counts,
            Piece::Number { run } => run.is_some(),
        };
        if !pieces.iter().any(tells) {
            return refuse("a pattern with a `{word}` or a `{frame:N}`, which tell blocks apart");
        }
        Ok(Self {
            pieces,
            folders: text.matches('/').count(),
        })
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_alphanumeric() || c == '_' || c == '-')
}

impl BlockPattern {
    /// The block of an image of this name, such as its file's path; `None` where the pattern does not
    /// fit.
    #[must_use]
    pub fn block_of(&self, name: &str) -> Option<String> {
        let name = self.seen_of(name);
        let mut block = Vec::new();
        let mut dead = HashSet::new();
        self.reads(0, name, &mut block, &mut dead)
            .then(|| block.join("/"))
    }

    /// The block of each image of a part, `[N]`, counted from 0 in the order in which they come.
    ///
    /// # Errors
    /// [`DataError::Setting`] with the first name that the pattern does not fit.
    pub fn blocks(&self, part: &Part) -> Result<Vec<usize>, DataError> {
        let mut numbers: HashMap<String, usize> = HashMap::new();
        (0..part.len())
            .map(|position| {
                let name = part.name(position);
                let block = self.block_of(&name).ok_or_else(|| {
                    DataError::setting(
                        "block",
                        "a pattern that fits the name of every image",
                        format!("the image {name}"),
                    )
                })?;
                let next = numbers.len();
                Ok(*numbers.entry(block).or_insert(next))
            })
            .collect()
    }

    /// The end of a name that the pattern is held against.
    fn seen_of<'a>(&self, name: &'a str) -> &'a str {
        let mut start = name.len();
        for _ in 0..=self.folders {
            match name[..start].rfind('/') {
                // Before the slash that was found; the next search goes on there.
                Some(slash) => start = slash,
                None => {
                    start = 0;
                    break;
                }
            }
        }
        let seen = name[start..].trim_start_matches('/');
        let file = seen.rfind('/').map_or(0, |slash| slash + 1);
        match seen[file..].rfind('.') {
            Some(dot) if dot > 0 => &seen[..file + dot],
            _ => seen,
        }
    }

    /// Whether the pieces from `piece` on read all of `rest`; then `block` has gained what counts.
    /// `dead` are the piece and the length of the rest of readings that have failed, so that none is
    /// tried twice.
    fn reads(
        &self,
        piece: usize,
        rest: &str,
        block: &mut Vec<String>,
        dead: &mut HashSet<(usize, usize)>,
    ) -> bool {
        let Some(this) = self.pieces.get(piece) else {
            return rest.is_empty();
        };
        if dead.contains(&(piece, rest.len())) {
            return false;
        }
        let before = block.len();
        let mut go_on = |end: usize, counts: Option<String>, block: &mut Vec<String>| {
            block.extend(counts);
            let reads = self.reads(piece + 1, &rest[end..], block, dead);
            if !reads {
                block.truncate(before);
            }
            reads
        };
        let found = match this {
            Piece::Literal(text) => {
                rest.starts_with(text.as_str()) && go_on(text.len(), None, block)
            }
            Piece::Text { counts } => {
                let within = rest.find('/').unwrap_or(rest.len());
                let mut ends: Vec<usize> = rest[..within]
                    .char_indices()
                    .map(|(at, c)| at + c.len_utf8())
                    .collect();
                ends.reverse();
                if let Some(Piece::Number { .. }) = self.pieces.get(piece + 1) {
                    // A number is read whole: no digit of it belongs to the text before it.
                    let digit = |at: Option<&u8>| at.is_some_and(u8::is_ascii_digit);
                    let name = rest.as_bytes();
                    ends.retain(|&end| !(digit(name.get(end - 1)) && digit(name.get(end))));
                }
                ends.into_iter()
                    .any(|end| go_on(end, counts.then(|| rest[..end].to_owned()), block))
            }
            Piece::Number { run } => {
                let digits = rest
                    .find(|c: char| !c.is_ascii_digit())
                    .unwrap_or(rest.len());
                let number = rest[..digits].parse::<u64>();
                match (number, run) {
                    (Err(_), _) => false,
                    (Ok(_), None) => go_on(digits, None, block),
                    (Ok(number), Some(run)) => {
                        go_on(digits, Some((number / run).to_string()), block)
                    }
                }
            }
        };
        if !found {
            dead.insert((piece, rest.len()));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(pattern: &str, name: &str) -> Option<String> {
        pattern.parse::<BlockPattern>().unwrap().block_of(name)
    }

    fn refused(pattern: &str) -> String {
        let error = pattern.parse::<BlockPattern>().unwrap_err().to_string();
        assert!(error.starts_with("`block` must be a pattern"), "{error}");
        error
    }

    #[test]
    fn frames_of_one_drive_belong_together() {
        let drive = |name| block("{block}_{frame}", name);
        assert_eq!(
            drive("images/test/0001TP_008550.jpg").as_deref(),
            Some("0001TP")
        );
        assert_eq!(drive("Seq05VD_f00000.png"), None, "`f00000` is no number");
        let runs = |name| block("{drive}_{frame:900}", name);
        assert_eq!(runs("0001TP_008550.jpg").as_deref(), Some("0001TP/9"));
        assert_eq!(runs("0001TP_008970.jpg").as_deref(), Some("0001TP/9"));
        assert_eq!(runs("0001TP_009000.jpg").as_deref(), Some("0001TP/10"));
        assert_eq!(
            block("{drive}_f{frame:1000}", "Seq05VD_f02010.png").as_deref(),
            Some("Seq05VD/2")
        );
        let either = |name| block("{drive}{frame:900}", name);
        assert_eq!(either("Seq05VD_f02010.png").as_deref(), Some("Seq05VD_f/2"));
        assert_eq!(either("0001TP_008550.jpg").as_deref(), Some("0001TP_/9"));
        assert_eq!(either("0001TP_").as_deref(), None);
    }

    #[test]
    fn texts_are_as_long_as_possible_and_may_say_nothing() {
        let city = "aachen/aachen_000000_000019_leftImg8bit.png";
        assert_eq!(
            block("{sequence}_{frame}_leftImg8bit", city).as_deref(),
            Some("aachen_000000")
        );
        assert_eq!(block("{city}_*_{frame}_*", city).as_deref(), Some("aachen"));
        assert_eq!(block("{film}/*", city).as_deref(), Some("aachen"));
        assert_eq!(block("{film}/{part}/*", city), None);
        assert_eq!(
            block("{name}", "v1.2/scan.nii.gz").as_deref(),
            Some("scan.nii")
        );
        assert_eq!(block("{name}", ".hidden").as_deref(), Some(".hidden"));
        assert_eq!(block("{a}é{b}", "xéyéz.png").as_deref(), Some("xéy/z"));
    }

    #[test]
    fn readings_that_fail_are_not_tried_again() {
        // A thousand equal letters and eight texts would be more readings than there is time for.
        let name = format!("{}b", "a".repeat(1_000));
        let pattern = "{a}a{b}a{c}a{d}a{e}a{f}a{g}a{h}c";
        assert_eq!(block(pattern, &name), None);
    }

    #[test]
    fn what_tells_nothing_apart_is_refused() {
        assert!(refused("{frame}").contains("tell blocks apart"));
        assert!(refused("*").contains("tell blocks apart"));
        assert!(refused("{a}{b}").contains("between any two texts"));
        assert!(refused("{a").contains("every `{`"));
        assert!(refused("a}").contains("every `}`"));
        assert!(refused("{frame:0}").contains("above 0"));
        assert!(refused("{frames:5}").contains("`{frame:N}`"));
    }

    #[test]
    fn blocks_are_numbered_as_they_come_and_a_name_that_does_not_fit_is_told() {
        let data = crate::open(
            std::path::Path::new("shapes:40"),
            &crate::OpenOptions::default(),
        );
        let part = data.unwrap().test;
        // Names are numbers here: 0 to 19.
        let tens: BlockPattern = "{frame:10}".parse().unwrap();
        let blocks = tens.blocks(&part).unwrap();
        assert_eq!(blocks, [[0; 10], [1; 10]].concat());
        let never: BlockPattern = "{drive}_{frame}".parse().unwrap();
        let error = never.blocks(&part).unwrap_err().to_string();
        assert!(error.contains("found the image 0"), "{error}");
    }
}
