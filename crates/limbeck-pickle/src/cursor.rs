//! Reads bytes from the front of a slice, with checks.

use crate::Reason;

/// A position in a slice of bytes.
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    pub(crate) fn position(&self) -> usize {
        self.position
    }

    /// The next `count` bytes.
    pub(crate) fn take(&mut self, count: u64) -> Result<&'a [u8], Reason> {
        let rest = self.bytes.get(self.position..).unwrap_or_default();
        let taken = usize::try_from(count)
            .ok()
            .and_then(|count| rest.get(..count))
            .ok_or(Reason::Truncated)?;
        self.position += taken.len();
        Ok(taken)
    }

    /// Checks that `count` more bytes are there.
    pub(crate) fn check(&self, count: u64) -> Result<(), Reason> {
        let rest = (self.bytes.len() - self.position) as u64;
        if count <= rest {
            Ok(())
        } else {
            Err(Reason::Truncated)
        }
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Reason> {
        Ok(self.array::<1>()?[0])
    }

    /// The next `N` bytes.
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Reason> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N as u64)?);
        Ok(array)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Reason> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Reason> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Reason> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// A length of 32 bits, which Python reads as signed and refuses below zero.
    pub(crate) fn signed_length(&mut self) -> Result<u64, Reason> {
        u64::try_from(i32::from_le_bytes(self.array()?)).map_err(|_| Reason::Malformed("length"))
    }

    /// The bytes up to the next newline, which is read and left out.
    pub(crate) fn line(&mut self) -> Result<&'a [u8], Reason> {
        let rest = self.bytes.get(self.position..).unwrap_or_default();
        let length = rest
            .iter()
            .position(|&byte| byte == b'\n')
            .ok_or(Reason::Truncated)?;
        self.position += length + 1;
        Ok(&rest[..length])
    }
}
