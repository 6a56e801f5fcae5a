//! A TOML value that remembers where each of its parts was written.

use std::collections::BTreeMap;

use toml::de::{DeTable, DeValue};

use super::{Mistake, Place, RecipeError};

/// A table of located values.
pub(super) type Table = BTreeMap<String, Node>;

/// A value and the place of its key.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub place: Place,
    pub value: Value,
}

/// What can be written in TOML; dates and times are kept as their text.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Boolean(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    Array(Vec<Node>),
    Table(Table),
}

/// Reads the TOML document `text`.
pub(super) fn parse(text: &str, origin: &str) -> Result<Table, RecipeError> {
    let table = DeTable::parse(text).map_err(|error| no_toml(&error, text, origin))?;
    Reader { text, origin }.table(table.get_ref())
}

/// Where `text` is not TOML, and why.
pub(super) fn no_toml(error: &toml::de::Error, text: &str, origin: &str) -> RecipeError {
    let offset = error.span().map_or(0, |span| span.start);
    let reason = error.message().replace('\n', ", ");
    Mistake::Syntax { reason }.at(Place::in_text(origin, text, offset))
}

/// Gives all values of `table` the same place.
pub(super) fn from_table(table: &toml::Table, place: &Place) -> Table {
    table
        .iter()
        .map(|(key, value)| (key.clone(), from_value(value, place)))
        .collect()
}

/// Gives `value` and all its parts the same place.
pub(super) fn from_value(value: &toml::Value, place: &Place) -> Node {
    let value = match value {
        toml::Value::Boolean(value) => Value::Boolean(*value),
        toml::Value::Integer(value) => Value::Integer(*value),
        toml::Value::Float(value) => Value::Float(*value),
        toml::Value::String(value) => Value::Text(value.clone()),
        toml::Value::Datetime(value) => Value::Text(value.to_string()),
        toml::Value::Array(values) => Value::Array(
            values
                .iter()
                .map(|value| from_value(value, place))
                .collect(),
        ),
        toml::Value::Table(table) => Value::Table(from_table(table, place)),
    };
    Node {
        place: place.clone(),
        value,
    }
}

/// Lays `upper` over `lower`: tables are merged key by key, everything else is replaced.
pub(super) fn merge(lower: &mut Table, upper: Table) {
    for (key, node) in upper {
        match (lower.get_mut(&key).map(|node| &mut node.value), node.value) {
            (Some(Value::Table(below)), Value::Table(above)) => merge(below, above),
            (_, value) => {
                let place = node.place;
                lower.insert(key, Node { place, value });
            }
        }
    }
}

/// What was written under the dotted `key`.
pub(super) fn find<'a>(table: &'a Table, key: &str) -> Option<&'a Node> {
    let (first, rest) = match key.split_once('.') {
        Some((first, rest)) => (first, Some(rest)),
        None => (key, None),
    };
    let node = table.get(first)?;
    match (rest, &node.value) {
        (None, _) => Some(node),
        (Some(rest), Value::Table(table)) => find(table, rest),
        (Some(_), _) => None,
    }
}

/// The place of the dotted `key`, or of the innermost table around it that was written.
pub(super) fn place_of(table: &Table, key: &str) -> Place {
    let mut place = Place::default();
    let mut table = table;
    for part in key.split('.') {
        let Some(node) = table.get(part) else { break };
        place = node.place.clone();
        let Value::Table(inner) = &node.value else {
            break;
        };
        table = inner;
    }
    place
}

struct Reader<'a> {
    text: &'a str,
    origin: &'a str,
}

impl Reader<'_> {
    fn table(&self, table: &DeTable<'_>) -> Result<Table, RecipeError> {
        table
            .iter()
            .map(|(key, value)| {
                let name = key.get_ref().to_string();
                let node = self.node(&name, key.span().start, value.get_ref())?;
                Ok((name, node))
            })
            .collect()
    }

    /// `offset` is where the key, or the array's element, was written.
    fn node(&self, key: &str, offset: usize, value: &DeValue<'_>) -> Result<Node, RecipeError> {
        let place = Place::in_text(self.origin, self.text, offset);
        let too_big = |found: String| {
            let mistake = Mistake::Value {
                key: key.to_owned(),
                expected: "a number of at most 64 bits".to_owned(),
                found,
            };
            mistake.at(place.clone())
        };
        let value = match value {
            DeValue::Boolean(value) => Value::Boolean(*value),
            DeValue::Integer(value) => Value::Integer(
                i64::from_str_radix(value.as_str(), value.radix())
                    .map_err(|_| too_big(value.to_string()))?,
            ),
            DeValue::Float(value) => Value::Float(
                value
                    .as_str()
                    .parse()
                    .map_err(|_| too_big(value.to_string()))?,
            ),
            DeValue::String(value) => Value::Text(value.to_string()),
            DeValue::Datetime(value) => Value::Text(value.to_string()),
            DeValue::Array(values) => Value::Array(
                values
                    .iter()
                    .map(|value| self.node(key, value.span().start, value.get_ref()))
                    .collect::<Result<_, _>>()?,
            ),
            DeValue::Table(table) => Value::Table(self.table(table)?),
        };
        Ok(Node { place, value })
    }
}
