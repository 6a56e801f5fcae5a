//! Arrays of bytes as numpy pickles them.

use limbeck_pickle::Value;

/// Everything that the pickle of an array names. Nothing of it is called.
pub(super) const GLOBALS: [(&str, &str); 9] = [
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy.core.numeric", "_frombuffer"),
    ("numpy._core.numeric", "_frombuffer"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
    ("builtins", "bytes"),
    ("__builtin__", "bytes"),
];

/// An array of unsigned bytes with two dimensions: rows, columns, elements row by row.
pub(super) fn matrix(value: &Value) -> Result<(usize, usize, Vec<u8>), String> {
    let parts = Parts::of(value)
        .ok_or_else(|| format!("its images are {}, expected a numpy array", value.kind()))?;
    if !is_byte(parts.dtype) {
        return Err("the elements of its images are not unsigned bytes".to_owned());
    }
    let shape: Option<Vec<usize>> = parts
        .shape
        .as_sequence()
        .and_then(|sides| sides.iter().map(Value::as_usize).collect());
    let Some([rows, columns]) = shape.as_deref() else {
        return Err("its images are not an array with two dimensions".to_owned());
    };
    let elements = parts
        .elements
        .to_bytes()
        .ok_or("the elements of its images are missing")?;
    if rows.checked_mul(*columns) != Some(elements.len()) {
        return Err(format!(
            "its images are {} bytes, expected {rows} times {columns}",
            elements.len()
        ));
    }
    let elements = if parts.by_columns {
        (0..elements.len())
            .map(|at| elements[at % columns * rows + at / columns])
            .collect()
    } else {
        elements.into_owned()
    };
    Ok((*rows, *columns, elements))
}

/// What both ways of pickling an array hold.
struct Parts<'a> {
    shape: &'a Value,
    dtype: &'a Value,
    elements: &'a Value,
    /// Column after column (Fortran's order) instead of row after row.
    by_columns: bool,
}

impl<'a> Parts<'a> {
    fn of(value: &'a Value) -> Option<Self> {
        for module in ["numpy.core", "numpy._core"] {
            // Protocols 0 to 4: an empty array that is given (version, shape, dtype, by columns,
            // elements).
            if let Some(call) = value.as_call(&format!("{module}.multiarray"), "_reconstruct") {
                let [_, shape, dtype, order, elements] = call.state.as_ref()?.as_sequence()? else {
                    return None;
                };
                return Some(Self {
                    shape,
                    dtype,
                    elements,
                    by_columns: order.as_bool().or(order.as_int().map(|v| v != 0))?,
                });
            }
            // Protocol 5: (elements, dtype, shape, order).
            if let Some(call) = value.as_call(&format!("{module}.numeric"), "_frombuffer") {
                let [elements, dtype, shape, order] = &*call.arguments else {
                    return None;
                };
                return Some(Self {
                    shape,
                    dtype,
                    elements,
                    by_columns: order.as_text()? == "F",
                });
            }
        }
        None
    }
}

/// Whether this is numpy's `dtype("u1")`.
fn is_byte(dtype: &Value) -> bool {
    dtype
        .as_call("numpy", "dtype")
        .and_then(|call| call.arguments.first()?.as_text())
        .is_some_and(|name| matches!(name, "u1" | "|u1" | "uint8"))
}
