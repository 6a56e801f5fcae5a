//! Reads Python pickles as data: nothing in them is ever run.
//!
//! A pickle is a program for a small stack machine that may call any Python function. Here the
//! program only builds a [`Value`]: numbers, text, bytes and containers are read as such, and each
//! call that Python would make stays a [`Reduce`] node with the name of the function and its
//! arguments. Who reads a file then picks the few calls it knows (an ordered dictionary, the
//! rebuilding of a tensor) and refuses all others by name; [`Value::global_outside`] finds them.
//!
//! All protocols from 0 to 5 are read. What a hostile pickle can cost is bounded by [`Limits`]:
//! length, number of operations, depth, and the size of the value with every shared part counted
//! as often as it is reached. A [`Value`] can therefore be walked, compared, printed and dropped
//! like an ordinary tree, although shared parts are held in memory once.
//!
//! ```
//! use limbeck_pickle::{Limits, parse};
//!
//! // pickle.dumps({"epoch": 3, "lr": 0.5}, protocol=2)
//! let bytes = b"\x80\x02}q\x00(X\x05\x00\x00\x00epochq\x01K\x03X\x02\x00\x00\x00lrq\x02\
//!     G?\xe0\x00\x00\x00\x00\x00\x00u.";
//! let value = parse(bytes, Limits::default())?;
//! assert_eq!(value.get("epoch").and_then(|epoch| epoch.as_int()), Some(3));
//! assert_eq!(value.get("lr").and_then(|rate| rate.as_float()), Some(0.5));
//! # Ok::<(), limbeck_pickle::PickleError>(())
//! ```

mod arena;
mod cursor;
mod error;
mod limits;
mod machine;
mod opcode;
mod scalar;
mod text;
mod value;

pub use error::{PickleError, Reason};
pub use limits::Limits;
pub use machine::{parse, parse_prefix};
pub use value::{Global, Reduce, Value, Walk};
