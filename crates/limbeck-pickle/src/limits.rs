//! What a pickle may cost.

/// Bounds on what is read. The defaults hold every data set and checkpoint that is meant to be
/// read, with room to spare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Length of one pickle in bytes; payloads are copied, so this bounds their memory. Default
    /// 1 GiB (the training part of CIFAR-100 is one pickle of 155 MB).
    pub bytes: usize,
    /// Number of opcodes, and with it of objects before sharing. Default 2 million (the training
    /// part of CIFAR-100, two labels and a file name for each of 50,000 images, needs a tenth).
    pub operations: usize,
    /// Nesting of the value. Default 128; never more than [`Limits::MAX_DEPTH`].
    pub depth: usize,
    /// Number of nodes of the value with each shared part counted wherever it is reached. Default
    /// 16 million.
    pub nodes: usize,
}

impl Limits {
    /// The deepest nesting that may be allowed: a value of this depth is dropped, compared and
    /// printed recursively within the stack of a small thread.
    pub const MAX_DEPTH: usize = 512;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 1 << 30,
            operations: 2_000_000,
            depth: 128,
            nodes: 16_000_000,
        }
    }
}
