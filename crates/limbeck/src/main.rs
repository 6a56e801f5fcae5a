//! The `limbeck` command.

use std::process::ExitCode;

use clap::Parser;

mod arguments;
mod command;
mod exit;
mod progress;

use arguments::Arguments;

#[global_allocator]
static ALLOCATOR: limbeck_kernels::AlignedAllocator = limbeck_kernels::AlignedAllocator;

fn main() -> ExitCode {
    limbeck_kernels::keep_freed_memory();
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // A reader that has gone away (`limbeck --help | head -1`) is not our failure.
            let _ = error.print();
            return if error.use_stderr() {
                ExitCode::from(exit::USAGE)
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    exit::report(command::run(arguments))
}
