//! The opcodes that are followed by a value: numbers, text and bytes.

use crate::cursor::Cursor;
use crate::opcode::*;
use crate::text;
use crate::{Reason, Value};

/// Reads the value that `code` is followed by; refuses opcodes that are none of these.
pub(crate) fn scalar(cursor: &mut Cursor<'_>, code: u8) -> Result<Value, Reason> {
    Ok(match code {
        NONE => Value::None,
        NEWTRUE => Value::Bool(true),
        NEWFALSE => Value::Bool(false),
        INT => match cursor.line()? {
            b"00" => Value::Bool(false),
            b"01" => Value::Bool(true),
            line => text::integer_from_decimal(line)?,
        },
        BININT => Value::Int(i64::from(i32::from_le_bytes(cursor.array()?))),
        BININT1 => Value::Int(i64::from(cursor.byte()?)),
        BININT2 => Value::Int(i64::from(cursor.u16()?)),
        LONG => {
            let line = cursor.line()?;
            text::integer_from_decimal(line.strip_suffix(b"L").unwrap_or(line))?
        }
        LONG1 => {
            let length = cursor.byte()?;
            text::integer_from_bytes(cursor.take(u64::from(length))?)?
        }
        LONG4 => {
            let length = cursor.signed_length()?;
            text::integer_from_bytes(cursor.take(length)?)?
        }
        FLOAT => Value::Float(text::float_from_text(cursor.line()?)?),
        BINFLOAT => Value::Float(f64::from_be_bytes(cursor.array()?)),
        STRING => Value::Bytes(text::quoted_bytes(cursor.line()?)?.into()),
        BINSTRING => {
            let length = cursor.signed_length()?;
            Value::Bytes(cursor.take(length)?.into())
        }
        SHORT_BINSTRING | SHORT_BINBYTES => {
            let length = cursor.byte()?;
            Value::Bytes(cursor.take(u64::from(length))?.into())
        }
        BINBYTES => {
            let length = cursor.u32()?;
            Value::Bytes(cursor.take(u64::from(length))?.into())
        }
        BINBYTES8 | BYTEARRAY8 => {
            let length = cursor.u64()?;
            Value::Bytes(cursor.take(length)?.into())
        }
        UNICODE => Value::String(text::raw_unicode_escape(cursor.line()?)?),
        SHORT_BINUNICODE => {
            let length = cursor.byte()?;
            Value::String(text::utf8(cursor.take(u64::from(length))?)?)
        }
        BINUNICODE => {
            let length = cursor.u32()?;
            Value::String(text::utf8(cursor.take(u64::from(length))?)?)
        }
        BINUNICODE8 => {
            let length = cursor.u64()?;
            Value::String(text::utf8(cursor.take(length)?)?)
        }
        other => return Err(Reason::UnknownOpcode(other)),
    })
}
