//! `limbeck completions`: the completion script of a shell.

use std::io::stdout;

use clap::CommandFactory;

use crate::arguments::{Arguments, CompletionsArguments};

/// Prints the script.
pub fn run(arguments: &CompletionsArguments) -> anyhow::Result<()> {
    clap_complete::generate(
        arguments.shell,
        &mut Arguments::command(),
        "limbeck",
        &mut stdout(),
    );
    Ok(())
}
