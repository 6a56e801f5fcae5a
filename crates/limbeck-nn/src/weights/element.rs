//! Element types of stored tensors.

use half::{bf16, f16};

/// Type of the numbers of a stored tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ElementType {
    /// One byte, 0 or not.
    Bool,
    /// Unsigned, 8 bits.
    U8,
    /// Signed, 8 bits.
    I8,
    /// Unsigned, 16 bits.
    U16,
    /// Signed, 16 bits.
    I16,
    /// Unsigned, 32 bits.
    U32,
    /// Signed, 32 bits.
    I32,
    /// Unsigned, 64 bits.
    U64,
    /// Signed, 64 bits.
    I64,
    /// IEEE 754 half precision.
    F16,
    /// The upper half of an IEEE 754 single.
    BF16,
    /// IEEE 754 single precision.
    F32,
    /// IEEE 754 double precision.
    F64,
}

impl ElementType {
    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            Self::Bool | Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 | Self::F16 | Self::BF16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }

    /// The type of PyTorch's name: `float32`, `bfloat16`, `int64` and so on.
    pub(super) fn from_torch_name(name: &str) -> Option<Self> {
        Some(match name {
            "bool" => Self::Bool,
            "uint8" => Self::U8,
            "int8" => Self::I8,
            "uint16" => Self::U16,
            "int16" => Self::I16,
            "uint32" => Self::U32,
            "int32" => Self::I32,
            "uint64" => Self::U64,
            "int64" => Self::I64,
            "float16" => Self::F16,
            "bfloat16" => Self::BF16,
            "float32" => Self::F32,
            "float64" => Self::F64,
            _ => return None,
        })
    }

    /// The value of one element, `bytes` being [`ElementType::size`] long. 64-bit integers beyond
    /// 2⁵³ are rounded.
    pub(super) fn decode(self, bytes: &[u8], big_endian: bool) -> f64 {
        // Widened to 8 bytes, little-endian, zeros above.
        let mut wide = [0; 8];
        for (index, &byte) in bytes.iter().take(8).enumerate() {
            wide[if big_endian {
                bytes.len() - 1 - index
            } else {
                index
            }] = byte;
        }
        let bits = u64::from_le_bytes(wide);
        match self {
            Self::Bool => f64::from(u8::from(bits != 0)),
            Self::U8 => f64::from(bits as u8),
            Self::I8 => f64::from(bits as i8),
            Self::U16 => f64::from(bits as u16),
            Self::I16 => f64::from(bits as i16),
            Self::U32 => f64::from(bits as u32),
            Self::I32 => f64::from(bits as i32),
            Self::U64 => bits as f64,
            Self::I64 => bits as i64 as f64,
            Self::F16 => f16::from_bits(bits as u16).to_f64(),
            Self::BF16 => bf16::from_bits(bits as u16).to_f64(),
            Self::F32 => f64::from(f32::from_bits(bits as u32)),
            Self::F64 => f64::from_bits(bits),
        }
    }
}
