//! Ctrl-C.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;

/// Ctrl-C once asks for a stop, and says `text`; twice stops at once.
pub fn watch(text: &'static str) -> anyhow::Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&flag);
    ctrlc::set_handler(move || {
        if seen.swap(true, Ordering::Relaxed) {
            std::process::exit(i32::from(crate::exit::INTERRUPTED));
        }
        eprintln!("\n{text} (Ctrl-C again stops at once)");
    })
    .context("the interrupt handler cannot be set")?;
    Ok(flag)
}
