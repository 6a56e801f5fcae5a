//! What steps of every task have to hold to.

use std::collections::BTreeSet;

use super::rehearsal::{Rehearsal, numbers};

/// Goes through all stages: terms are finite and have the same names at every step, none twice; who learns
/// changes, and nobody else does, the teacher least of all. `told` names the method.
pub fn check_steps(rehearsal: &mut Rehearsal, told: &str) {
    let before_teacher = rehearsal.teacher_numbers();
    for stage in 0..rehearsal.stages.len() {
        rehearsal.begin(stage);
        let mut seen: Option<Vec<String>> = None;
        for step in ["a", "b"] {
            let mut names = Vec::new();
            for act in 0..rehearsal.stages[stage].acts.len() {
                let batch = rehearsal.batch(step);
                let (terms, _) = rehearsal.play(stage, act, &batch);
                names.extend(terms.into_iter().map(|term| term.name));
            }
            let distinct: BTreeSet<&String> = names.iter().collect();
            assert_eq!(distinct.len(), names.len(), "{told}: {names:?}");
            if let Some(seen) = &seen {
                assert_eq!(seen, &names, "{told}");
            }
            seen = Some(names);
            let members = rehearsal.members();
            let all = |rehearsal: &Rehearsal| -> Vec<_> {
                let names = members.iter();
                names.map(|name| numbers(&rehearsal.cast, name)).collect()
            };
            let before = all(rehearsal);
            let values = rehearsal.step(stage, step);
            assert!(
                values.iter().all(|value| value.is_finite()),
                "{told}: {values:?}"
            );
            for ((name, before), after) in members.iter().zip(before).zip(all(rehearsal)) {
                let acts = &rehearsal.stages[stage].acts;
                let learns = acts.iter().any(|act| act.trains(name)) && !before.is_empty();
                assert_eq!(learns, after != before, "{told}, stage {stage}: {name}");
            }
        }
        rehearsal.end_epoch(stage);
    }
    assert!(rehearsal.teacher_numbers() == before_teacher, "{told}");
}

/// Puts what `first` is after a step of `stage`, which has begun, into `second`: the next step of both is the
/// same to the bit.
pub fn check_put_back(mut first: Rehearsal, mut second: Rehearsal, stage: usize, told: &str) {
    first.step(stage, "a");
    second.cast = first.cast.clone();
    let state = first.procedure.state();
    second.procedure.load_state(state).unwrap();
    let expected = first.step(stage, "b");
    assert_eq!(second.step(stage, "b"), expected, "{told}");
    for member in first.members() {
        let [found, expected] = [&second, &first].map(|it| numbers(&it.cast, &member));
        assert!(found == expected, "{told}: {member}");
    }
}
