//! Every instruction set, and any number of threads, gives the bytes of the definition.

mod convolutions;
mod draws;
mod maps;
mod refusals;
mod scene;
