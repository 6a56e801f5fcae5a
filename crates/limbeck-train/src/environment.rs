//! What a run ran on.

use std::collections::BTreeMap;

/// Processor, cores, threads and version, for the report and `environment.json`.
pub fn describe() -> BTreeMap<String, String> {
    let mut facts = BTreeMap::new();
    facts.insert("limbeck".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    facts.insert("system".to_owned(), system());
    if let Some(model) = processor() {
        facts.insert("processor".to_owned(), model);
    }
    if let Ok(cores) = std::thread::available_parallelism() {
        facts.insert("cores".to_owned(), cores.to_string());
    }
    let threads = rayon::current_num_threads();
    facts.insert("threads".to_owned(), threads.to_string());
    facts.insert("device".to_owned(), "CPU (flex), f32".to_owned());
    facts
}

/// Operating system and architecture.
pub(crate) fn system() -> String {
    format!("{} {}", std::env::consts::OS, std::env::consts::ARCH)
}

/// The processor's name where the system tells it.
pub(crate) fn processor() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
