//! From located values to typed ones, with errors that keep their place.

use std::fmt::Display;

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{
    Deserialize, Deserializer, EnumAccess, Error, Expected, IntoDeserializer, Unexpected,
    VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::node::{Node, Table, Value};
use super::{Mistake, Place, RecipeError};

/// Reads a `T` out of `table`.
pub(super) fn read<'de, T: Deserialize<'de>>(table: &'de Table) -> Result<T, RecipeError> {
    T::deserialize(TableReader {
        table,
        path: String::new(),
    })
    .map_err(|fault| fault.into_error(Place::default(), ""))
}

/// An error of serde on its way out: the innermost value adds place and key.
#[derive(Debug)]
enum Fault {
    /// Complete.
    Done(Box<RecipeError>),
    /// A key that the table whose path is added does not know.
    Key {
        key: String,
        known: &'static [&'static str],
    },
    /// A name to choose that is not known.
    Name {
        found: String,
        known: &'static [&'static str],
    },
    Value {
        expected: String,
        found: String,
    },
    Other(String),
}

impl Fault {
    /// Adds `place` and the dotted `path` of the value, unless something inside did.
    fn into_error(self, place: Place, path: &str) -> RecipeError {
        let key = path.to_owned();
        match self {
            Fault::Done(error) => return *error,
            Fault::Key { key, known } => {
                let table = path.rsplit_once('.').map_or("", |(table, _)| table);
                Mistake::unknown_key(table, &key, known.iter().copied())
            }
            Fault::Name { found, known } => {
                Mistake::unknown_name(path, &found, known.iter().copied())
            }
            Fault::Value { expected, found } => Mistake::Value {
                key,
                expected,
                found,
            },
            Fault::Other(reason) => Mistake::Refused { key, reason },
        }
        .at(place)
    }

    fn at(self, place: &Place, path: &str) -> Self {
        Fault::Done(Box::new(self.into_error(place.clone(), path)))
    }
}

impl Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for Fault {}

impl Error for Fault {
    fn custom<M: Display>(message: M) -> Self {
        Fault::Other(message.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Fault::Value {
            expected: plain(&expected.to_string()),
            found: shown(found),
        }
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Self {
        Fault::Value {
            expected: plain(&expected.to_string()),
            found: format!("{length} elements"),
        }
    }

    fn unknown_variant(found: &str, known: &'static [&'static str]) -> Self {
        Fault::Name {
            found: found.to_owned(),
            known,
        }
    }

    fn unknown_field(key: &str, known: &'static [&'static str]) -> Self {
        Fault::Key {
            key: key.to_owned(),
            known,
        }
    }
}

/// serde names Rust types; a user knows numbers.
fn plain(expected: &str) -> String {
    match expected {
        "usize" | "u64" | "u32" | "u16" | "u8" => "a whole number of at least 0",
        "isize" | "i64" | "i32" | "i16" | "i8" => "a whole number",
        "f64" | "f32" => "a number",
        "a boolean" => "true or false",
        "a string" => "a text",
        "a sequence" => "a list",
        other if other.starts_with("struct ") || other.contains("map") => "a table",
        other if other.starts_with("a tuple of size 2") => "a pair such as [0.5, 1.0]",
        other => match other.split_once(" element") {
            Some((count, _)) => return format!("a list of {count}"),
            None => other,
        },
    }
    .to_owned()
}

fn shown(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Bool(value) => value.to_string(),
        Unexpected::Signed(value) => value.to_string(),
        Unexpected::Unsigned(value) => value.to_string(),
        Unexpected::Float(value) => value.to_string(),
        Unexpected::Str(value) => format!("the text \"{value}\""),
        Unexpected::Seq => "a list".to_owned(),
        Unexpected::Map => "a table".to_owned(),
        other => other.to_string(),
    }
}

/// A table and its dotted path.
struct TableReader<'de> {
    table: &'de Table,
    path: String,
}

impl<'de> TableReader<'de> {
    fn entries(self) -> impl Iterator<Item = (KeyReader<'de>, NodeReader<'de>)> {
        let path = self.path;
        self.table.iter().map(move |(key, node)| {
            let path = if path.is_empty() {
                key.clone()
            } else {
                format!("{path}.{key}")
            };
            let reader = KeyReader {
                key,
                place: &node.place,
                path: path.clone(),
            };
            (reader, NodeReader { node, path })
        })
    }
}

impl<'de> Deserializer<'de> for TableReader<'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_map(MapDeserializer::new(self.entries()))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier
        ignored_any
    }
}

struct KeyReader<'de> {
    key: &'de str,
    place: &'de Place,
    path: String,
}

impl<'de> IntoDeserializer<'de, Fault> for KeyReader<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for KeyReader<'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor
            .visit_borrowed_str(self.key)
            .map_err(|fault: Fault| fault.at(self.place, &self.path))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier
        ignored_any
    }
}

struct NodeReader<'de> {
    node: &'de Node,
    path: String,
}

impl<'de> IntoDeserializer<'de, Fault> for NodeReader<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for NodeReader<'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let Self { node, path } = self;
        let inside = path.clone();
        match &node.value {
            Value::Boolean(value) => visitor.visit_bool(*value),
            Value::Integer(value) => visitor.visit_i64(*value),
            Value::Float(value) => visitor.visit_f64(*value),
            Value::Text(value) => visitor.visit_borrowed_str(value),
            Value::Array(values) => {
                let mut all = SeqDeserializer::new(values.iter().map(|node| NodeReader {
                    node,
                    path: inside.clone(),
                }));
                let read = visitor.visit_seq(&mut all);
                // A list that is longer than what it is read into is not cut.
                read.and_then(|read| all.end().map(|()| read))
            }
            Value::Table(table) => TableReader {
                table,
                path: inside,
            }
            .deserialize_any(visitor),
        }
        .map_err(|fault: Fault| fault.at(&node.place, &path))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    /// A name alone is a variant without content; a table with one key is a variant with it.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let Self { node, path } = self;
        let outer = path.clone();
        match &node.value {
            Value::Text(name) => visitor.visit_enum(name.as_str().into_deserializer()),
            Value::Table(table) if table.len() == 1 => match table.iter().next() {
                Some((name, node)) => visitor.visit_enum(VariantReader { name, node, path }),
                None => Err(Fault::custom("expected a name")),
            },
            _ => Err(Fault::custom(
                "expected a name, or a table with one name as its key",
            )),
        }
        .map_err(|fault| fault.at(&node.place, &outer))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// A variant with content: `name = content`.
struct VariantReader<'de> {
    name: &'de str,
    node: &'de Node,
    path: String,
}

impl<'de> EnumAccess<'de> for VariantReader<'de> {
    type Error = Fault;
    type Variant = NodeReader<'de>;

    fn variant_seed<S: serde::de::DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, NodeReader<'de>), Fault> {
        let name: serde::de::value::BorrowedStrDeserializer<'de, Fault> =
            serde::de::value::BorrowedStrDeserializer::new(self.name);
        let path = format!("{}.{}", self.path, self.name);
        let node = self.node;
        Ok((seed.deserialize(name)?, NodeReader { node, path }))
    }
}

impl<'de> VariantAccess<'de> for NodeReader<'de> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        Err(Fault::custom("this name takes no settings").at(&self.node.place, &self.path))
    }

    fn newtype_variant_seed<S: serde::de::DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<S::Value, Fault> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.deserialize_any(visitor)
    }
}
