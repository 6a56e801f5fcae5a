//! `limbeck completions`: the completion script of a shell.

use std::io::{Write, stdout};

use clap::CommandFactory;

use crate::arguments::{Arguments, CompletionsArguments};

/// Prints the script.
pub fn run(arguments: &CompletionsArguments) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(
        arguments.shell,
        &mut Arguments::command(),
        "limbeck",
        &mut script,
    );
    stdout().write_all(&script)?;
    Ok(())
}
