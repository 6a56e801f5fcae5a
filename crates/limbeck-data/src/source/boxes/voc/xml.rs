//! One of VOC's XML files.

use std::path::{Path, PathBuf};

use roxmltree::{Document, Node, ParsingOptions};

use crate::DataError;
use crate::source::boxes::files;

/// Most bytes of a file: a hundred times what the densest images take.
const MAX_BYTES: u64 = 16 << 20;

/// Most elements and texts of a file; an object has about thirty of them.
const MAX_NODES: u32 = 1_000_000;

/// What a file says of its image.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Described {
    pub file: PathBuf,
    /// What it calls the image.
    pub image: Option<String>,
    /// Width and height; `None` where it does not know them.
    pub size: Option<[usize; 2]>,
    pub objects: Vec<Object>,
}

/// An object of the image.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Object {
    pub name: String,
    /// `xmin`, `ymin`, `xmax` and `ymax` as they are there; `None` where one is missing.
    pub corners: Option<[f64; 4]>,
    pub difficult: bool,
    /// Line of the object in the file, counted from 1.
    pub line: usize,
}

/// Reads a file; `None` where it is XML of another kind.
///
/// # Errors
/// What is no XML, holds what could grow, or has an object without a name.
pub(super) fn read(file: &Path) -> Result<Option<Described>, DataError> {
    let bytes = files::read(file, MAX_BYTES)?;
    // Paths in it may be in the letters of another machine; names of classes may not.
    let text = String::from_utf8_lossy(&bytes);
    parse(file, text.trim_start_matches('\u{feff}').trim_start())
}

fn parse(file: &Path, text: &str) -> Result<Option<Described>, DataError> {
    let corrupt = |reason: String| DataError::corrupt(file, reason);
    let options = ParsingOptions {
        nodes_limit: MAX_NODES,
        ..ParsingOptions::default()
    };
    let document = Document::parse_with_options(text, options)
        .map_err(|e| corrupt(format!("it is no plain XML: {e}")))?;
    let root = document.root_element();
    if !root.has_tag_name("annotation") {
        return Ok(None);
    }
    let size = child(root, "size").and_then(|size| {
        let side = |name| number(size, name).filter(|side| (1.0..1e6).contains(side));
        Some([side("width")? as usize, side("height")? as usize])
    });
    let mut objects = Vec::new();
    let (mut line, mut counted) = (1, 0);
    for object in root.children().filter(|node| node.has_tag_name("object")) {
        let start = object.range().start;
        line += text[counted..start].matches('\n').count();
        counted = start;
        let name = child(object, "name").and_then(|name| name.text());
        let Some(name) = name.filter(|name| !name.trim().is_empty()) else {
            return Err(corrupt(format!("line {line}: an object has no <name>")));
        };
        if name.contains('\u{fffd}') {
            return Err(corrupt(format!(
                "line {line}: the name of the class is not UTF-8; save the file in UTF-8"
            )));
        }
        let corners = child(object, "bndbox").and_then(|bounds| {
            let corner = |name| number(bounds, name);
            Some([
                corner("xmin")?,
                corner("ymin")?,
                corner("xmax")?,
                corner("ymax")?,
            ])
        });
        let difficult = child(object, "difficult").and_then(|flag| flag.text());
        objects.push(Object {
            name: name.to_owned(),
            corners,
            difficult: difficult.is_some_and(|flag| {
                ["1", "true", "yes"].contains(&flag.trim().to_lowercase().as_str())
            }),
            line,
        });
    }
    let image = child(root, "filename").and_then(|name| name.text());
    Ok(Some(Described {
        file: file.to_owned(),
        image: image.map(|name| name.trim().to_owned()),
        size,
        objects,
    }))
}

fn child<'a, 'i>(node: Node<'a, 'i>, name: &str) -> Option<Node<'a, 'i>> {
    node.children().find(|child| child.has_tag_name(name))
}

fn number(node: Node, name: &str) -> Option<f64> {
    child(node, name)?.text()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WHOLE: &str = "<?xml version=\"1.0\"?>\n<!-- <a> --><annotation>\n<filename>a.jpg</filename>\n\
        <size><width>40</width><height>30</height></size>\n\
        <object><name>dog</name><part><name>head</name><bndbox><xmin>1</xmin></bndbox></part>\n\
        <difficult>1</difficult><bndbox><xmax>9.5</xmax><xmin> 2 </xmin><ymin>3</ymin>\
        <ymax>8</ymax></bndbox></object>\n<object><name>cat</name><bndbox><xmin>x</xmin></bndbox>\
        </object></annotation>";

    fn read_text(text: &str) -> Result<Option<Described>, String> {
        parse(Path::new("a.xml"), text).map_err(|e| e.to_string())
    }

    #[test]
    fn objects_are_read_with_their_lines_whatever_the_order() {
        let described = read_text(WHOLE).unwrap().unwrap();
        assert_eq!(described.image.as_deref(), Some("a.jpg"));
        assert_eq!(described.size, Some([40, 30]));
        let [dog, cat] = described.objects.as_slice() else {
            panic!("{described:?}");
        };
        assert_eq!(dog.corners, Some([2.0, 3.0, 9.5, 8.0]));
        assert!(dog.difficult && !cat.difficult);
        assert_eq!((dog.line, cat.line), (5, 7));
        assert_eq!(cat.corners, None);
        assert_eq!(read_text("<project/>"), Ok(None));
    }

    #[test]
    fn what_is_damaged_or_could_grow_is_refused() {
        let error = |text: &str| read_text(text).unwrap_err();
        for cut in [0, 40, 100, WHOLE.len() - 3] {
            assert!(error(&WHOLE[..cut]).contains("a.xml is damaged"), "{cut}");
        }
        assert!(error("<annotation><object/></annotation>").contains("line 1: an object has no"));
        let bomb =
            "<!DOCTYPE a [<!ENTITY b \"xx\"><!ENTITY c \"&b;&b;\">]><annotation>&c;</annotation>";
        assert!(error(bomb).contains("no plain XML"), "{}", error(bomb));
        let entity =
            "<!DOCTYPE a [<!ENTITY b SYSTEM \"file:///etc/passwd\">]><annotation>&b;</annotation>";
        assert!(error(entity).contains("no plain XML"));
        assert!(error(&"<annotation>".repeat(100_000)).contains("no plain XML"));
        let deep = ["<annotation>", "</annotation>"]
            .map(|tag| tag.repeat(100_000))
            .concat();
        assert_eq!(read_text(&deep).unwrap().unwrap().objects, []);
        let long = format!(
            "<annotation>{}</annotation>",
            "<a/>".repeat(MAX_NODES as usize)
        );
        assert!(error(&long).contains("no plain XML"));
    }

    proptest! {
        #[test]
        fn changed_bytes_never_panic(
            changes in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..8),
            cut in any::<usize>(),
        ) {
            let mut bytes = WHOLE.as_bytes().to_vec();
            for (place, value) in changes {
                let len = bytes.len();
                bytes[place % len] = value;
            }
            bytes.truncate(cut % (2 * bytes.len()));
            let _ = read_text(&String::from_utf8_lossy(&bytes));
        }
    }
}
