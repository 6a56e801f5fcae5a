//! What a training step of each method costs, measured by `bench/costs.py`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The table that the script wrote.
const TABLE: &str = include_str!("costs.toml");

/// Costs of all methods.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Costs {
    /// Network that was trained.
    student: String,
    /// Network that taught, where a method has none of its own.
    teacher: String,
    /// Images per step.
    batch: usize,
    classes: usize,
    /// `[C, H, W]`.
    input: [usize; 3],
    methods: BTreeMap<String, Cost>,
}

/// Cost of one method's step.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Cost {
    /// Time, as a multiple of the baseline's step with the same student.
    pub step: f64,
    /// The least and the greatest of several measurements, of which `step` is the median.
    pub step_range: [f64; 2],
    /// Most memory that the process holds, as a multiple of the baseline's.
    pub memory: f64,
    /// Teacher of a method that cannot learn from the others'.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub teacher: Option<String>,
}

impl Costs {
    /// Reads the table.
    pub fn read() -> anyhow::Result<Self> {
        Ok(toml::from_str(TABLE)?)
    }

    /// The cost of the method called `id`; `None` where it was not measured.
    pub fn of(&self, id: &str) -> Option<&Cost> {
        self.methods.get(id)
    }

    /// What was measured: of the method called `id`, or of all.
    pub fn setting(&self, id: Option<&str>) -> String {
        let [channels, height, width] = self.input;
        let own = |id: &str| self.of(id).and_then(|cost| cost.teacher.clone());
        let teacher = id.and_then(own).unwrap_or_else(|| self.teacher.clone());
        let others = self.methods.iter().filter_map(|(other, cost)| {
            let teacher = cost.teacher.as_ref().filter(|_| id.is_none())?;
            Some(format!(", {other} from {teacher}"))
        });
        format!(
            "{teacher} → {}{}, batch {}, {channels}×{height}×{width}, {} classes",
            self.student,
            others.collect::<String>(),
            self.batch,
            self.classes
        )
    }
}

impl std::fmt::Display for Cost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "step ×{:.1}, memory ×{:.1}", self.step, self.memory)
    }
}

impl Cost {
    /// The cost with how far measurements of the time were apart.
    pub fn with_range(&self) -> String {
        let [least, greatest] = self.step_range;
        format!("{self}; step ×{least:.1} to ×{greatest:.1} in repeated measurements")
    }
}

#[cfg(test)]
mod tests {
    use limbeck::methods::METHODS;

    use super::*;

    #[test]
    fn every_cost_is_of_a_method_and_within_reason() {
        let costs = Costs::read().unwrap();
        for (id, cost) in &costs.methods {
            assert!(METHODS.iter().any(|entry| entry.id == id), "`{id}`");
            for multiple in [cost.step, cost.memory] {
                assert!(multiple > 0.0 && multiple < 1e3, "`{id}`: {multiple}");
            }
        }
    }

    #[test]
    fn the_baseline_costs_what_it_costs() {
        let costs = Costs::read().unwrap();
        let baseline = costs.of(limbeck::methods::BASELINE).unwrap();
        assert_eq!([baseline.step, baseline.memory], [1.0, 1.0]);
        assert_eq!(baseline.to_string(), "step ×1.0, memory ×1.0");
        assert!(costs.setting(None).contains("cakd from vit_nano"));
        assert!(
            costs
                .setting(Some("kd"))
                .starts_with("resnet20 → resnet8, batch 64")
        );
        assert!(
            costs
                .setting(Some("cakd"))
                .starts_with("vit_nano → resnet8")
        );
    }
}
