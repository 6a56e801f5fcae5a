//! A strict reader of HTML: tags balance, text is escaped, nothing is loaded.

/// Elements that have no end tag.
const VOID: [&str; 5] = ["meta", "link", "img", "br", "input"];

/// Fails on a page whose tags do not balance, that has an unescaped `<`, `&` or an attribute
/// without quotes, or that refers to anything outside itself.
pub fn check(page: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut ids: Vec<&str> = Vec::new();
    let mut rest = page
        .strip_prefix("<!DOCTYPE html>")
        .expect("a page begins with its document type");
    while let Some(start) = rest.find('<') {
        check_text(&rest[..start]);
        let end = start + rest[start..].find('>').expect("a tag ends");
        let tag = &rest[start + 1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            let expected = open.pop();
            assert_eq!(Some(name), expected, "before: {}", excerpt(rest));
            continue;
        }
        let closed = tag.ends_with('/');
        let tag = tag.trim_end_matches('/');
        let name = tag.split_whitespace().next().unwrap_or("");
        assert!(
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric()),
            "<{tag}> is not a tag"
        );
        for (attribute, value) in attributes(tag[name.len()..].trim()) {
            check_attribute(name, attribute, value);
            if attribute == "id" {
                assert!(!ids.contains(&value), "two elements are called {value}");
                ids.push(value);
            }
        }
        if name == "style" {
            let end = rest.find("</style>").expect("a style sheet ends");
            let sheet = &rest[..end];
            assert!(!sheet.contains("url(") && !sheet.contains("@import") && !sheet.contains('<'));
            rest = &rest[end + "</style>".len()..];
        } else if !closed && !VOID.contains(&name) {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "still open at the end: {open:?}");
    for target in page.split("href=\"#").skip(1) {
        let target = target.split('"').next().unwrap_or("");
        assert!(ids.contains(&target), "nothing is called {target}");
    }
    assert!(
        !page.contains("NaN") && !page.contains("inf,"),
        "a coordinate is not a number"
    );
}

fn check_text(text: &str) {
    for (place, _) in text.match_indices('&') {
        let entity = text[place..].split(';').next().unwrap_or("");
        assert!(
            matches!(entity, "&amp" | "&lt" | "&gt" | "&quot" | "&apos"),
            "unescaped & in {}",
            excerpt(&text[place..])
        );
    }
}

fn check_attribute(element: &str, attribute: &str, value: &str) {
    check_text(value);
    assert_ne!(element, "script");
    assert!(!attribute.starts_with("on"), "{attribute} runs a script");
    match attribute {
        "src" => assert!(
            value.starts_with("data:image/png;base64,"),
            "{value} is loaded"
        ),
        "href" if element == "link" => assert_eq!(value, "data:,"),
        "href" if element == "image" => assert!(
            value.starts_with("data:image/png;base64,"),
            "{value} is loaded"
        ),
        "href" => assert!(value.starts_with('#'), "{value} is outside"),
        _ => assert!(
            !value.contains("://") && !value.contains("url("),
            "{value} is outside"
        ),
    }
}

/// Name and value of each attribute; a value must be quoted.
fn attributes(mut text: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    while !text.is_empty() {
        let (name, after) = text
            .split_once("=\"")
            .unwrap_or_else(|| panic!("{text} is not an attribute with a quoted value"));
        let (value, after) = after.split_once('"').expect("a value ends");
        assert!(
            !name.contains(['"', '\'', '<', ' ']),
            "{name} is not a name"
        );
        found.push((name, value));
        text = after.trim_start();
    }
    found
}

fn excerpt(text: &str) -> String {
    text.chars().take(120).collect()
}

#[test]
#[should_panic(expected = "before")]
fn the_reader_finds_tags_that_do_not_balance() {
    check("<!DOCTYPE html><p><b>x</p></b>");
}

#[test]
#[should_panic(expected = "is loaded")]
fn the_reader_finds_a_picture_from_elsewhere() {
    check("<!DOCTYPE html><img src=\"picture.png\">");
}

#[test]
#[should_panic(expected = "unescaped &")]
fn the_reader_finds_text_that_is_not_escaped() {
    check("<!DOCTYPE html><p>a & b</p>");
}
