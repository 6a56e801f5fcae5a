//! What a pickle holds.

use std::borrow::Cow;
use std::sync::Arc;

/// A Python object read from a pickle. Clones are cheap: containers and payloads are shared.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `None`.
    None,
    /// `True` or `False`.
    Bool(bool),
    /// An integer of at most 64 bits.
    Int(i64),
    /// A longer integer: two's complement, little-endian, in the fewest bytes.
    BigInt(Arc<[u8]>),
    /// A float.
    Float(f64),
    /// `bytes`, `bytearray`, or a Python 2 `str`.
    Bytes(Arc<[u8]>),
    /// Text.
    String(Arc<str>),
    /// A list.
    List(Arc<[Value]>),
    /// A tuple.
    Tuple(Arc<[Value]>),
    /// A dictionary in insertion order. A key that was set twice is there twice; the later counts.
    Dict(Arc<[(Value, Value)]>),
    /// A set or frozen set, as written (duplicates are kept).
    Set(Arc<[Value]>),
    /// A function or class, by name; it is not looked up.
    Global(Arc<Global>),
    /// A call that was not made.
    Reduce(Arc<Reduce>),
    /// An object that is stored elsewhere, by its identifier.
    Persistent(Arc<Value>),
}

/// The name of a Python function or class.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Global {
    /// Module, such as `torch._utils`.
    pub module: String,
    /// Name in the module, such as `_rebuild_tensor_v2`.
    pub name: String,
}

impl Global {
    /// Whether this is `module.name`.
    pub fn is(&self, module: &str, name: &str) -> bool {
        self.module == module && self.name == name
    }
}

impl std::fmt::Display for Global {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}.{}", self.module, self.name)
    }
}

/// A call that Python would make to build an object, and what it would do to the result.
#[derive(Clone, Debug, PartialEq)]
pub struct Reduce {
    /// What is called: a [`Value::Global`] in every pickle that Python wrote.
    pub callable: Value,
    /// Positional arguments.
    pub arguments: Arc<[Value]>,
    /// Keyword arguments: a dictionary, or `None` where there are none.
    pub keywords: Option<Value>,
    /// What the result is given as its state (`__setstate__` or `__dict__`).
    pub state: Option<Value>,
    /// What is appended or added to the result.
    pub items: Vec<Value>,
    /// What is set in the result by key.
    pub pairs: Vec<(Value, Value)>,
}

impl Value {
    /// The kind of value, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::None => "None",
            Value::Bool(_) => "a bool",
            Value::Int(_) | Value::BigInt(_) => "an integer",
            Value::Float(_) => "a float",
            Value::Bytes(_) => "bytes",
            Value::String(_) => "text",
            Value::List(_) => "a list",
            Value::Tuple(_) => "a tuple",
            Value::Dict(_) => "a dictionary",
            Value::Set(_) => "a set",
            Value::Global(_) => "a function or class",
            Value::Reduce(_) => "an object",
            Value::Persistent(_) => "a persistent object",
        }
    }

    /// The integer, if it is one of at most 64 bits.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Value::Int(value) => Some(*value),
            _ => None,
        }
    }

    /// The integer as a length or index, if it is one.
    pub fn as_usize(&self) -> Option<usize> {
        usize::try_from(self.as_int()?).ok()
    }

    /// The bool, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The float, if it is one.
    pub fn as_float(&self) -> Option<f64> {
        match self {
            Value::Float(value) => Some(*value),
            _ => None,
        }
    }

    /// The text, if it is text or a Python 2 `str` that is valid UTF-8.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Value::String(text) => Some(text),
            Value::Bytes(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    /// The bytes, if it is bytes in any of the ways in which Python writes them: as such, or,
    /// under protocols that have no bytes, as `_codecs.encode(text, "latin1")` or `bytes()`.
    pub fn to_bytes(&self) -> Option<Cow<'_, [u8]>> {
        if let Value::Bytes(bytes) = self {
            return Some(Cow::Borrowed(bytes));
        }
        if let Some(call) = self.as_call("_codecs", "encode") {
            let [Value::String(text), Value::String(encoding)] = &*call.arguments else {
                return None;
            };
            if !matches!(&**encoding, "latin1" | "latin-1") {
                return None;
            }
            return text
                .chars()
                .map(|character| u8::try_from(u32::from(character)).ok())
                .collect::<Option<Vec<u8>>>()
                .map(Cow::Owned);
        }
        let call = self
            .as_call("__builtin__", "bytes")
            .or_else(|| self.as_call("builtins", "bytes"))?;
        call.arguments.is_empty().then_some(Cow::Borrowed(&[]))
    }

    /// The items, if it is a list or a tuple.
    pub fn as_sequence(&self) -> Option<&[Value]> {
        match self {
            Value::List(items) | Value::Tuple(items) => Some(items),
            _ => None,
        }
    }

    /// Keys and values in order, if it is a dictionary or an ordered dictionary (which Python 2
    /// writes as a call with a list of pairs).
    pub fn to_pairs(&self) -> Option<Vec<(&Value, &Value)>> {
        if let Value::Dict(pairs) = self {
            return Some(pairs.iter().map(|(key, value)| (key, value)).collect());
        }
        let call = self.as_call("collections", "OrderedDict")?;
        let mut pairs = match &*call.arguments {
            [] => Vec::new(),
            [first] => first
                .as_sequence()?
                .iter()
                .map(|pair| match pair.as_sequence()? {
                    [key, value] => Some((key, value)),
                    _ => None,
                })
                .collect::<Option<Vec<_>>>()?,
            _ => return None,
        };
        pairs.extend(call.pairs.iter().map(|(key, value)| (key, value)));
        Some(pairs)
    }

    /// What a dictionary, ordered or not, holds under a text key (a Python 2 `str` key counts).
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.to_pairs()?
            .into_iter()
            .rev()
            .find(|(candidate, _)| candidate.as_text() == Some(key))
            .map(|(_, value)| value)
    }

    /// The name, if it is a function or class.
    pub fn as_global(&self) -> Option<&Global> {
        match self {
            Value::Global(global) => Some(global),
            _ => None,
        }
    }

    /// The call, if it is one of `module.name` without keyword arguments.
    pub fn as_call(&self, module: &str, name: &str) -> Option<&Reduce> {
        match self {
            Value::Reduce(call)
                if call.keywords.is_none()
                    && call
                        .callable
                        .as_global()
                        .is_some_and(|global| global.is(module, name)) =>
            {
                Some(call)
            }
            _ => None,
        }
    }

    /// The value and all that it holds, each before its parts.
    pub fn walk(&self) -> Walk<'_> {
        Walk { open: vec![self] }
    }

    /// The first function or class anywhere in the value that `allowed`, pairs of module and name,
    /// does not list. A reader that knows which ones its format needs refuses a file by it.
    pub fn global_outside(&self, allowed: &[(&str, &str)]) -> Option<&Global> {
        self.walk()
            .filter_map(Value::as_global)
            .find(|global| !allowed.iter().any(|(module, name)| global.is(module, name)))
    }
}

/// Goes through a value and all that it holds: see [`Value::walk`].
#[derive(Clone, Debug)]
pub struct Walk<'a> {
    /// What is still to be visited, the next last.
    open: Vec<&'a Value>,
}

impl<'a> Iterator for Walk<'a> {
    type Item = &'a Value;

    fn next(&mut self) -> Option<&'a Value> {
        let value = self.open.pop()?;
        let before = self.open.len();
        match value {
            Value::List(items) | Value::Tuple(items) | Value::Set(items) => {
                self.open.extend(items.iter());
            }
            Value::Dict(pairs) => self.extend_pairs(pairs),
            Value::Persistent(identifier) => self.open.push(identifier),
            Value::Reduce(call) => {
                self.open.push(&call.callable);
                self.open.extend(call.arguments.iter());
                self.open.extend(&call.keywords);
                self.open.extend(&call.state);
                self.open.extend(&call.items);
                self.extend_pairs(&call.pairs);
            }
            _ => {}
        }
        self.open[before..].reverse();
        Some(value)
    }
}

impl<'a> Walk<'a> {
    fn extend_pairs(&mut self, pairs: &'a [(Value, Value)]) {
        self.open
            .extend(pairs.iter().flat_map(|(key, value)| [key, value]));
    }
}
