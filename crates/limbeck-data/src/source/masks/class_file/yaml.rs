//! YAML read as JSON would be: keys are text, and there are no references to other places.

use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Number, Value};

/// How deep lists and maps may lie in each other.
const MAX_DEPTH: usize = 16;

/// The first document of a text.
///
/// # Errors
/// What is no YAML, and aliases, with which a few bytes could stand for any number of values.
pub(in crate::source) fn parse(text: &str) -> Result<Value, String> {
    // Lists and maps that are open, each with the key that waits for its value.
    let mut open: Vec<(Value, Option<String>)> = Vec::new();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|e| e.to_string())?;
        let line = span.start.line();
        let closed = match event {
            Event::Scalar(text, style, ..) => scalar(&text, style),
            Event::SequenceStart(..) | Event::MappingStart(..) if open.len() >= MAX_DEPTH => {
                return Err(format!(
                    "line {line}: lists and maps lie too deep in each other"
                ));
            }
            Event::SequenceStart(..) => {
                open.push((Value::Array(Vec::new()), None));
                continue;
            }
            Event::MappingStart(..) => {
                open.push((Value::Object(Map::new()), None));
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some((value, _)) => value,
                None => continue,
            },
            Event::Alias(_) => return Err(format!("line {line}: aliases (*name) are not read")),
            Event::DocumentEnd => break,
            _ => continue,
        };
        match open.last_mut() {
            None => return Ok(closed),
            Some((Value::Array(list), _)) => list.push(closed),
            Some((Value::Object(map), key)) => match key.take() {
                Some(key) => {
                    if map.insert(key.clone(), closed).is_some() {
                        return Err(format!("line {line}: `{key}` is there twice"));
                    }
                }
                None => match closed {
                    Value::String(text) => *key = Some(text),
                    Value::Number(number) => *key = Some(number.to_string()),
                    Value::Bool(truth) => *key = Some(truth.to_string()),
                    other => return Err(format!("line {line}: {other} cannot be a key")),
                },
            },
            Some(_) => {}
        }
    }
    Err("it is empty".to_owned())
}

/// What a scalar stands for in YAML's core schema.
fn scalar(text: &str, style: ScalarStyle) -> Value {
    if style != ScalarStyle::Plain {
        return Value::String(text.to_owned());
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    if let Ok(whole) = text.parse::<i64>() {
        return Value::Number(whole.into());
    }
    let fraction = text
        .parse::<f64>()
        .ok()
        .filter(|_| text.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '.'));
    match fraction.and_then(Number::from_f64) {
        Some(number) => Value::Number(number),
        None => Value::String(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn maps_lists_and_scalars_are_read() {
        let text = "# classes\nnames:\n  0: road\n  1: {name: 'side walk', labels: [1, 2]}\n\
                    ignore: [11, 255]\npath: ../x\nnc: 2\nnone:\nyes: true\nshare: 0.5\n";
        let expected = json!({
            "names": {"0": "road", "1": {"name": "side walk", "labels": [1, 2]}},
            "ignore": [11, 255], "path": "../x", "nc": 2, "none": null, "yes": true, "share": 0.5,
        });
        assert_eq!(parse(text).unwrap(), expected);
        assert_eq!(parse("- a\n- \"1\"\n- 1\n").unwrap(), json!(["a", "1", 1]));
    }

    #[test]
    fn what_could_grow_or_contradict_itself_is_refused() {
        assert!(parse("a: &x [1]\nb: *x\n").unwrap_err().contains("aliases"));
        assert!(parse(&"[".repeat(100)).unwrap_err().contains("too deep"));
        assert!(parse("a: 1\na: 2\n").unwrap_err().contains("twice"));
        assert!(parse("a: [1\nb: ").is_err());
        assert!(parse("").is_err());
    }
}
