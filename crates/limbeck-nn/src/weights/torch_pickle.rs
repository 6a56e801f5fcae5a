//! Tensors in the pickles of `torch.save`.
//!
//! A tensor is a call of one of PyTorch's rebuilding functions; its numbers are a persistent
//! object `("storage", type, key, location, count[, view])` that lies elsewhere in the file. Only
//! the calls below are understood, and none is made.

use std::path::Path;

use limbeck_pickle::{Global, Reduce, Value};

use super::stored_tensor::{Storage, StoredTensor};
use super::{ElementType, WeightsError};

/// Modules whose functions run programs or code, or reach the machine. A pickle that names one is
/// an attack or useless to anybody, wherever in it the name is. This list warns users; safety does
/// not rest on it, since nothing is run.
const PROGRAM_MODULES: &[&str] = &[
    "os",
    "posix",
    "nt",
    "subprocess",
    "_posixsubprocess",
    "pty",
    "socket",
    "shutil",
    "sys",
    "runpy",
    "codeop",
    "ctypes",
    "_ctypes",
    "importlib",
    "commands",
    "popen2",
    "webbrowser",
    "urllib",
    "pdb",
    "bdb",
    "timeit",
    "cProfile",
    "pip",
    "marshal",
];
/// Functions of Python's built-in module that do.
const PROGRAM_BUILTINS: &[&str] = &[
    "eval",
    "exec",
    "execfile",
    "compile",
    "open",
    "file",
    "__import__",
    "input",
    "raw_input",
    "breakpoint",
    "globals",
    "locals",
    "vars",
    "apply",
    "setattr",
    "delattr",
];

/// Refuses a pickle that would run programs or code if Python loaded it.
pub(super) fn refuse_programs(path: &Path, value: &Value) -> Result<(), WeightsError> {
    let runs = |global: &&Global| {
        let root = global.module.split('.').next().unwrap_or_default();
        match root {
            "builtins" | "__builtin__" => PROGRAM_BUILTINS.contains(&global.name.as_str()),
            _ => PROGRAM_MODULES.contains(&root),
        }
    };
    match value.walk().filter_map(Value::as_global).find(runs) {
        Some(global) => Err(WeightsError::RunsCode {
            path: path.to_owned(),
            global: global.to_string(),
        }),
        None => Ok(()),
    }
}

/// A storage that a pickle refers to.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct StorageReference<'a> {
    /// Name of its class, such as `FloatStorage`.
    pub class: &'a str,
    /// What it is called in the file.
    pub key: &'a str,
    /// How many elements it has.
    pub count: usize,
    /// First element and number of elements where only a part of it is meant (legacy files).
    pub view: Option<(usize, usize)>,
}

impl<'a> StorageReference<'a> {
    /// Understands the identifier of a persistent object.
    pub fn from_identifier(identifier: &'a Value) -> Option<Self> {
        let (head, view) = match identifier.as_sequence()? {
            [head @ .., view] if head.len() == 5 => (head, Some(view)),
            head => (head, None),
        };
        let [kind, class, key, _location, count] = head else {
            return None;
        };
        if kind.as_text() != Some("storage") {
            return None;
        }
        let class = class.as_global()?;
        if class.module != "torch" && !class.module.starts_with("torch.") {
            return None;
        }
        let view = match view {
            None | Some(Value::None) => None,
            Some(view) => match view.as_sequence()? {
                [_key, offset, count] => Some((offset.as_usize()?, count.as_usize()?)),
                _ => return None,
            },
        };
        Some(Self {
            class: &class.name,
            key: key.as_text()?,
            count: count.as_usize()?,
            view,
        })
    }

    /// Type of the elements; `None` for types that are not read and for storages of bytes, whose
    /// tensors say the type.
    pub fn element(&self) -> Option<ElementType> {
        Some(match self.class {
            "DoubleStorage" => ElementType::F64,
            "FloatStorage" => ElementType::F32,
            "HalfStorage" => ElementType::F16,
            "BFloat16Storage" => ElementType::BF16,
            "LongStorage" => ElementType::I64,
            "IntStorage" => ElementType::I32,
            "ShortStorage" => ElementType::I16,
            "CharStorage" => ElementType::I8,
            "ByteStorage" => ElementType::U8,
            "BoolStorage" => ElementType::Bool,
            _ => return None,
        })
    }

    /// Bytes of one element, also for types whose numbers are not read; `None` where unknown.
    pub fn element_size(&self) -> Option<usize> {
        match self.class {
            "UntypedStorage" | "_UntypedStorage" | "QInt8Storage" | "QUInt8Storage" => Some(1),
            "QInt32Storage" => Some(4),
            "ComplexFloatStorage" => Some(8),
            "ComplexDoubleStorage" => Some(16),
            _ => self.element().map(ElementType::size),
        }
    }
}

/// Finds the bytes of a storage in a file; the reason comes back where they are not there.
pub(super) type FindStorage<'f> = dyn FnMut(&StorageReference<'_>) -> Result<Storage, String> + 'f;

/// How a value is to be taken that stands under a name in a state dict.
pub(super) enum Item {
    Tensor(StoredTensor),
    /// A number, text, a container: no tensor, and no object either.
    Plain,
}

/// Whether a value is a call that rebuilds a tensor of any kind.
pub(super) fn is_tensor(value: &Value) -> bool {
    object_class(value).is_some_and(|global| {
        (global.module == "torch._utils" && global.name.starts_with("_rebuild"))
            || global.is("torch._tensor", "_rebuild_from_type_v2")
    })
}

/// The function or class of an object, an ordered dictionary left out.
pub(super) fn object_class(value: &Value) -> Option<&Global> {
    match value {
        Value::Reduce(_) if value.to_pairs().is_some() => None,
        Value::Reduce(call) => call.callable.as_global(),
        _ => None,
    }
}

/// Reads the value `name` of a state dict.
///
/// # Errors
/// [`WeightsError::UnknownObject`] for objects that are no plain tensors,
/// [`WeightsError::Tensor`] for tensors that do not fit their storage.
pub(super) fn read_item(
    path: &Path,
    name: &str,
    value: &Value,
    find: &mut FindStorage<'_>,
) -> Result<Item, WeightsError> {
    let Some(class) = object_class(value) else {
        return match value {
            Value::Global(global) => Err(unknown(path, name, global)),
            _ => Ok(Item::Plain),
        };
    };
    let rebuilt = match value {
        Value::Reduce(call) => rebuild(class, call, find),
        _ => Rebuilt::Unknown,
    };
    match rebuilt {
        Rebuilt::Tensor(tensor) => Ok(Item::Tensor(tensor)),
        Rebuilt::Unknown => Err(unknown(path, name, class)),
        Rebuilt::Failed(reason) => Err(WeightsError::Tensor {
            path: path.to_owned(),
            name: name.to_owned(),
            reason,
        }),
    }
}

fn unknown(path: &Path, name: &str, global: &Global) -> WeightsError {
    WeightsError::UnknownObject {
        path: path.to_owned(),
        name: name.to_owned(),
        global: global.to_string(),
    }
}

enum Rebuilt {
    Tensor(StoredTensor),
    Unknown,
    Failed(String),
}

/// Follows one call of a rebuilding function; parameters and tensor subclasses wrap others.
fn rebuild(class: &Global, call: &Reduce, find: &mut FindStorage<'_>) -> Rebuilt {
    let malformed = || Rebuilt::Failed(format!("the arguments of `{class}` are malformed"));
    let mut name = class.name.as_str();
    let mut module = class.module.as_str();
    let mut arguments: &[Value] = &call.arguments;
    loop {
        match (module, name) {
            ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => {
                let Some(Value::Reduce(inner)) = arguments.first() else {
                    return malformed();
                };
                let Some(global) = inner.callable.as_global() else {
                    return malformed();
                };
                (module, name, arguments) = (&global.module, &global.name, &inner.arguments);
            }
            // Arguments: function, type, its arguments, state.
            ("torch._tensor", "_rebuild_from_type_v2") => {
                let [function, _, inner, _] = arguments else {
                    return malformed();
                };
                let (Some(global), Some(inner)) = (function.as_global(), inner.as_sequence())
                else {
                    return malformed();
                };
                (module, name, arguments) = (&global.module, &global.name, inner);
            }
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2" | "_rebuild_tensor_v3") => {
                return match tensor(arguments, find) {
                    Ok(Some(tensor)) => Rebuilt::Tensor(tensor),
                    Ok(None) => malformed(),
                    Err(reason) => Rebuilt::Failed(reason),
                };
            }
            _ => return Rebuilt::Unknown,
        }
    }
}

/// Arguments: storage, offset, size, strides, gradient recorded, hooks[, type or metadata].
fn tensor(arguments: &[Value], find: &mut FindStorage<'_>) -> Result<Option<StoredTensor>, String> {
    let [
        Value::Persistent(identifier),
        offset,
        shape,
        strides,
        rest @ ..,
    ] = arguments
    else {
        return Ok(None);
    };
    let numbers = |value: &Value| -> Option<Vec<usize>> {
        value.as_sequence()?.iter().map(Value::as_usize).collect()
    };
    let (Some(reference), Some(offset), Some(shape), Some(strides)) = (
        StorageReference::from_identifier(identifier),
        offset.as_usize(),
        numbers(shape),
        numbers(strides),
    ) else {
        return Ok(None);
    };
    // Version 3 has the type as a global such as torch.uint16, third of the rest.
    let stated = rest.get(2).and_then(Value::as_global);
    let element = match stated {
        Some(dtype) if dtype.module == "torch" => ElementType::from_torch_name(&dtype.name)
            .ok_or_else(|| format!("element type {dtype} is not read"))?,
        _ => reference
            .element()
            .ok_or_else(|| format!("a torch.{} is not read", reference.class))?,
    };
    let storage = find(&reference)?;
    StoredTensor::new(element, shape, strides, offset, storage).map(Some)
}
