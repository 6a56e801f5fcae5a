//! Job scripts.

use std::io::{Write, stdout};

use crate::arguments::{Scheduler, ScriptArguments};
use crate::exit::Usage;

/// Prints a script that carries out a study in shares.
pub fn print(arguments: &ScriptArguments) -> anyhow::Result<()> {
    let (study, shards) = (arguments.study.display(), arguments.shards);
    if shards == 0 {
        return Err(Usage("--shards is 0; give 1 or more".to_owned()).into());
    }
    let text = match arguments.scheduler {
        Scheduler::Slurm => format!(
            "#!/bin/sh\n\
             # sbatch THIS_FILE; --cpus-per-task and --time as the machines have them.\n\
             #SBATCH --job-name=limbeck-study\n\
             #SBATCH --array=1-{shards}\n\
             #SBATCH --cpus-per-task=4\n\
             #SBATCH --requeue\n\
             exec limbeck resume '{study}' --shard \"$SLURM_ARRAY_TASK_ID/{shards}\" \
             --threads \"$SLURM_CPUS_PER_TASK\"\n"
        ),
        Scheduler::Parallel => format!(
            "#!/bin/sh\n\
             # One job after the other ends with its share of the work; --jobs as many as there are cores.\n\
             seq {shards} | parallel --jobs {shards} limbeck resume '{study}' --shard '{{}}/{shards}' --threads 1\n"
        ),
    };
    Ok(write!(stdout().lock(), "{text}")?)
}
