//! What can be wrong with a pickle.

/// Where reading stopped and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("pickle is not readable at byte {offset}{}: {reason}", opcode.map(|name| format!(" (opcode {name})")).unwrap_or_default())]
pub struct PickleError {
    /// Offset from the start of the pickle of the opcode that failed.
    pub offset: usize,
    /// Its name as in Python's `pickletools`; `None` where the error belongs to no known opcode.
    pub opcode: Option<&'static str>,
    /// What is wrong.
    pub reason: Reason,
}

/// What is wrong with a pickle.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// The bytes end in the middle.
    #[error("the data ends here although more is needed; the file is truncated")]
    Truncated,
    /// No opcode has this byte.
    #[error("byte 0x{0:02x} is no pickle opcode; this is not a pickle, or it is damaged")]
    UnknownOpcode(u8),
    /// Written by a later protocol.
    #[error("protocol {0} is not known; protocols 0 to 5 are read")]
    UnknownProtocol(u8),
    /// Refers to something outside the file.
    #[error("{0} lie outside the file and cannot be read")]
    External(&'static str),
    /// An opcode finds too little on the stack.
    #[error("the stack holds too little for this operation")]
    StackUnderflow,
    /// An opcode that needs a mark finds none.
    #[error("no MARK was set before this operation")]
    NoMark,
    /// The value on the stack has the wrong kind.
    #[error("expected {expected} on the stack, found {found}")]
    WrongKind {
        /// What the opcode works on.
        expected: &'static str,
        /// What is there.
        found: &'static str,
    },
    /// A dictionary is given a key without a value.
    #[error("a dictionary is given a key without a value")]
    OddPairs,
    /// `BUILD` on an object that has a state already.
    #[error("the object has been given its state before")]
    StateTwice,
    /// A memo entry is read that was never written.
    #[error("memo entry {0} is read but was never written")]
    NoMemo(u64),
    /// A number, string or index in text form is malformed.
    #[error("malformed {0}")]
    Malformed(&'static str),
    /// A container reaches itself.
    #[error("an object contains itself; cyclic data is not read")]
    Cyclic,
    /// A bound of [`crate::Limits`] is passed.
    #[error("more than {limit} {what}; the file is too large or made to exhaust memory")]
    Limit {
        /// What is counted.
        what: &'static str,
        /// How much is allowed.
        limit: usize,
    },
    /// Bytes follow the end of a pickle that should fill its file.
    #[error("{0} more bytes follow the end of the pickle")]
    TrailingBytes(usize),
}
