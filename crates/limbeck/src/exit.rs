//! Exit codes: 0 done, 1 the run failed, 2 usage or recipe, 130 interrupted after a checkpoint.

use std::process::ExitCode;

use limbeck::cache::CacheError;
use limbeck::data::DataError;
use limbeck::methods::MethodError;
use limbeck::nn::NnError;
use limbeck::train::{TrainError, fewshot::FewshotError, recipe::RecipeError};

/// What was asked for cannot be: wrong arguments or a wrong recipe.
pub const USAGE: u8 = 2;
/// Ctrl-C, after a checkpoint.
pub const INTERRUPTED: u8 = 130;
const FAILED: u8 = 1;

/// A command that the user got wrong.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// The run was interrupted after a checkpoint; says how to go on.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Interrupted(pub String);

/// Prints what went wrong, if anything, and gives the exit code for it.
pub fn report(result: anyhow::Result<()>) -> ExitCode {
    let Err(error) = result else {
        return ExitCode::SUCCESS;
    };
    if is_broken_pipe(&error) {
        return ExitCode::SUCCESS;
    }
    if error.is::<Interrupted>() {
        eprintln!("{error}");
        return ExitCode::from(INTERRUPTED);
    }
    eprintln!("error: {}", sentence(&error));
    ExitCode::from(if is_usage(&error) { USAGE } else { FAILED })
}

/// The error with its causes, those left out that it already tells.
fn sentence(error: &anyhow::Error) -> String {
    error.chain().fold(String::new(), |told, cause| {
        let cause = cause.to_string();
        match told {
            told if told.is_empty() => cause,
            told if told.contains(&cause) => told,
            told => format!("{told}: {cause}"),
        }
    })
}

/// Whether the mistake is in the arguments or the recipe, found before anything was run.
fn is_usage(error: &anyhow::Error) -> bool {
    // What is found while a run reads is no mistake in what was asked for.
    if let Some(TrainError::Method(MethodError::StoredTeacher { .. })) = error.downcast_ref() {
        return false;
    }
    error.is::<Usage>()
        || error.is::<RecipeError>()
        || error.is::<MethodError>()
        || error.is::<NnError>()
        || matches!(
            error.downcast_ref::<TrainError>(),
            Some(
                TrainError::Recipe(_)
                    | TrainError::Method(_)
                    | TrainError::Network(_)
                    | TrainError::ClassCount { .. }
                    | TrainError::Setting(_)
                    | TrainError::CacheFit { .. }
                    | TrainError::Cache(
                        CacheError::Differs { .. }
                            | CacheError::Foreign { .. }
                            | CacheError::NoManifest { .. }
                            | CacheError::Plan(_)
                    )
                    | TrainError::ModelSource(_)
                    | TrainError::Fewshot(
                        FewshotError::File(_)
                            | FewshotError::Content { .. }
                            | FewshotError::Setting(_)
                            | FewshotError::Method(_)
                    )
                    | TrainError::Data(DataError::Setting { .. })
            )
        )
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}
