//! Reads Python pickles as data: nothing in them is ever run.
