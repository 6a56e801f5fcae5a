//! The parts of pickles that are written as text: numbers, strings with escapes.

use std::sync::Arc;

use crate::{Reason, Value};

/// Longest integer that is read, in bytes of two's complement.
const MAX_INTEGER_BYTES: usize = 128;
/// Longest integer that is read in decimal: the digits that always fit [`MAX_INTEGER_BYTES`].
const MAX_INTEGER_DIGITS: usize = 300;

/// A little-endian two's complement integer of any length, as `LONG1` and `LONG4` have it.
pub(crate) fn integer_from_bytes(bytes: &[u8]) -> Result<Value, Reason> {
    if bytes.len() > MAX_INTEGER_BYTES {
        return Err(Reason::Limit {
            what: "bytes in one integer",
            limit: MAX_INTEGER_BYTES,
        });
    }
    let negative = bytes.last().is_some_and(|&last| last >= 0x80);
    let filler = if negative { 0xff } else { 0 };
    // Shortest form: the filler goes as long as the byte below carries the sign.
    let mut length = bytes.len();
    while length > 1 && bytes[length - 1] == filler && (bytes[length - 2] >= 0x80) == negative {
        length -= 1;
    }
    if length > 8 {
        return Ok(Value::BigInt(Arc::from(&bytes[..length])));
    }
    let mut array = [filler; 8];
    array[..length].copy_from_slice(&bytes[..length]);
    Ok(Value::Int(i64::from_le_bytes(array)))
}

/// A decimal integer with an optional sign, as `INT` and `LONG` have it.
pub(crate) fn integer_from_decimal(text: &[u8]) -> Result<Value, Reason> {
    let text = text.trim_ascii();
    let (negative, digits) = match text.split_first() {
        Some((b'-', digits)) => (true, digits),
        Some((b'+', digits)) => (false, digits),
        _ => (false, text),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Reason::Malformed("integer"));
    }
    if digits.len() > MAX_INTEGER_DIGITS {
        return Err(Reason::Limit {
            what: "digits in one integer",
            limit: MAX_INTEGER_DIGITS,
        });
    }
    let mut magnitude: Vec<u8> = Vec::new();
    for digit in digits {
        let mut carry = u32::from(digit - b'0');
        for byte in &mut magnitude {
            let sum = u32::from(*byte) * 10 + carry;
            *byte = (sum & 0xff) as u8;
            carry = sum >> 8;
        }
        if carry > 0 {
            magnitude.push(carry as u8);
        }
    }
    magnitude.push(0);
    if negative {
        let mut carry = true;
        for byte in &mut magnitude {
            let (sum, over) = (!*byte).overflowing_add(u8::from(carry));
            *byte = sum;
            carry = over;
        }
    }
    integer_from_bytes(&magnitude)
}

/// A float as `FLOAT` has it.
pub(crate) fn float_from_text(text: &[u8]) -> Result<f64, Reason> {
    std::str::from_utf8(text)
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .ok_or(Reason::Malformed("float"))
}

/// An index as `GET` and `PUT` have it.
pub(crate) fn index_from_text(text: &[u8]) -> Result<u64, Reason> {
    std::str::from_utf8(text)
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .ok_or(Reason::Malformed("memo index"))
}

/// UTF-8 text.
pub(crate) fn utf8(bytes: &[u8]) -> Result<Arc<str>, Reason> {
    std::str::from_utf8(bytes)
        .map(Arc::from)
        .map_err(|_| Reason::Malformed("UTF-8 text"))
}

/// A quoted byte string with Python's backslash escapes, as `STRING` has it.
pub(crate) fn quoted_bytes(line: &[u8]) -> Result<Vec<u8>, Reason> {
    const MALFORMED: Reason = Reason::Malformed("quoted string");
    let line = line.trim_ascii();
    let [quote @ (b'\'' | b'"'), inner @ .., last] = line else {
        return Err(MALFORMED);
    };
    if quote != last {
        return Err(MALFORMED);
    }
    let mut decoded = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'\\' {
            decoded.push(byte);
            continue;
        }
        let (&escape, after) = rest.split_first().ok_or(MALFORMED)?;
        rest = after;
        match escape {
            b'\\' | b'\'' | b'"' => decoded.push(escape),
            b'n' => decoded.push(b'\n'),
            b'r' => decoded.push(b'\r'),
            b't' => decoded.push(b'\t'),
            b'a' => decoded.push(0x07),
            b'b' => decoded.push(0x08),
            b'f' => decoded.push(0x0c),
            b'v' => decoded.push(0x0b),
            b'x' => {
                let (digits, after) = rest.split_at_checked(2).ok_or(MALFORMED)?;
                decoded.push(number(digits, 16).ok_or(MALFORMED)? as u8);
                rest = after;
            }
            b'0'..=b'7' => {
                let more = rest
                    .iter()
                    .take(2)
                    .take_while(|digit| (b'0'..=b'7').contains(digit))
                    .count();
                let value = rest[..more]
                    .iter()
                    .fold(u32::from(escape - b'0'), |value, digit| {
                        value * 8 + u32::from(digit - b'0')
                    });
                decoded.push((value & 0xff) as u8);
                rest = &rest[more..];
            }
            other => decoded.extend([b'\\', other]),
        }
    }
    Ok(decoded)
}

/// Text in Python's `raw-unicode-escape` encoding, as `UNICODE` has it: Latin-1 with `\uXXXX` and
/// `\UXXXXXXXX`.
pub(crate) fn raw_unicode_escape(line: &[u8]) -> Result<Arc<str>, Reason> {
    const MALFORMED: Reason = Reason::Malformed("escaped text");
    let mut decoded = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        decoded.push(char::from(byte));
        if byte != b'\\' {
            continue;
        }
        let length = match rest.first() {
            Some(b'u') => 4,
            Some(b'U') => 8,
            // A backslash escapes nothing else, but the next character goes with it: in `\\u0041`
            // the second backslash starts no escape.
            Some(&other) => {
                decoded.push(char::from(other));
                rest = &rest[1..];
                continue;
            }
            None => continue,
        };
        let (digits, after) = rest[1..].split_at_checked(length).ok_or(MALFORMED)?;
        decoded.pop();
        decoded.push(
            number(digits, 16)
                .and_then(char::from_u32)
                .ok_or(MALFORMED)?,
        );
        rest = after;
    }
    Ok(decoded.into())
}

/// Digits alone, no sign.
fn number(digits: &[u8], radix: u32) -> Option<u32> {
    digits.iter().try_fold(0u32, |value, &digit| {
        value
            .checked_mul(radix)?
            .checked_add(char::from(digit).to_digit(radix)?)
    })
}
