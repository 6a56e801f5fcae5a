//! Data sets, decoding, augmentation and the ordered loader of Limbeck.
