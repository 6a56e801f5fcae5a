//! Weights that rise over the first epochs, in runs that end before they are up.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{MethodError, Progress, cakd::ramp_share, criterion::warmup, entries, rampup::rampup};

/// A sentence for each part of the method `name` whose terms a run of `epochs` epochs never gives
/// their whole weight. `settings` are those of single methods, by name.
///
/// # Errors
/// An unknown method.
pub fn unreached_weights(
    name: &str,
    settings: &BTreeMap<String, Value>,
    epochs: usize,
) -> Result<Vec<String>, MethodError> {
    let mut sentences = Vec::new();
    for entry in entries(name)? {
        let defaults = (entry.defaults)();
        let own = settings.get(entry.id);
        let setting = |key: &str| {
            let given = own.and_then(|own| own.get(key));
            given.or_else(|| defaults.get(key)).cloned()
        };
        let whole = |key: &str| setting(key)?.as_u64().map(|value| value as usize);
        let last = epochs.saturating_sub(1);
        let progress = Progress {
            epoch: last,
            epochs,
            step: 0,
            steps: 1,
        };
        let is_released = setting("form").is_some_and(|form| form == "released");
        let reached = [
            (
                "warmup_epochs",
                whole("warmup_epochs").map(|length| warmup(progress, length)),
            ),
            (
                "rampup_epochs",
                whole("rampup_epochs").map(|length| rampup(last, length)),
            ),
            (
                "ramp_start",
                whole("ramp_start")
                    .filter(|_| is_released)
                    .map(|start| ramp_share(last, start)),
            ),
        ];
        for (key, share) in reached {
            if let Some(share) = share.filter(|share| *share < 1.0) {
                sentences.push(format!(
                    "method.{id}.{key} is {} and the run has {epochs} epochs: what `{id}` adds to the loss reaches {:.0} % of its weight; train longer, or set method.{id}.{key} to a part of the run",
                    setting(key).unwrap_or_default(),
                    100.0 * share,
                    id = entry.id
                ));
            }
        }
    }
    Ok(sentences)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn unreached(name: &str, settings: Value, epochs: usize) -> Vec<String> {
        let settings = serde_json::from_value(settings).unwrap();
        unreached_weights(name, &settings, epochs).unwrap()
    }

    #[test]
    fn a_warm_up_longer_than_the_run_is_told_with_what_it_reaches() {
        let told = unreached("dkd", json!({}), 3);
        assert!(
            told[0].contains("method.dkd.warmup_epochs is 20"),
            "{told:?}"
        );
        assert!(told[0].contains("15 %"), "{told:?}");
        assert_eq!(unreached("kd+reviewkd", json!({}), 3).len(), 1);
        assert!(unreached("dkd", json!({}), 20).is_empty());
        let short = json!({ "dkd": { "warmup_epochs": 3 } });
        assert!(unreached("dkd", short, 3).is_empty());
        assert!(unreached("kd", json!({}), 1).is_empty());
    }

    #[test]
    fn the_other_ramps_are_told_too() {
        assert_eq!(
            unreached("one", json!({ "one": { "rampup_epochs": 80 } }), 30).len(),
            1
        );
        let cakd =
            |form: &str, epochs| unreached("cakd", json!({ "cakd": { "form": form } }), epochs);
        assert!(cakd("released", 10)[0].contains(" 0 %"));
        assert!(cakd("released", 60).is_empty() && cakd("paper", 10).is_empty());
    }
}
