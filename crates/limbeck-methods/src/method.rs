//! Methods of the catalogue with their numbers, alone or joined.

use std::collections::{BTreeMap, BTreeSet};

use limbeck_nn::{Builder, Network, Pass, Store};
use serde_json::Value;

use crate::{
    BASELINE, Cast, Criterion, Images, MethodEntry, MethodError, Needs, OneStage, Probe, Procedure,
    State, Step, TaskKind, Term,
    registry::{Build, find},
};

/// One method, or several whose terms are added, with the modules that are trained along.
///
/// Joined methods keep their own settings. Parameters and state of each are named `<method>.…`
/// where there is more than one; a term that two of them have is named `<method>.<term>`.
#[derive(Debug)]
pub struct Method {
    parts: Vec<Part>,
    store: Store,
}

#[derive(Debug)]
struct Part {
    id: &'static str,
    criterion: Box<dyn Criterion>,
}

/// The entries that `name` consists of: one method, or several joined by `+` such as `drg+dsr`.
///
/// # Errors
/// An unknown method, the same one twice, or the baseline, a procedure or a method with a command of
/// its own together with others.
pub fn entries(name: &str) -> Result<Vec<&'static MethodEntry>, MethodError> {
    let entries = name
        .split('+')
        .map(|id| find(id.trim()))
        .collect::<Result<Vec<_>, _>>()?;
    let refuse = |reason: String| {
        Err(MethodError::Combination {
            name: name.to_owned(),
            reason,
        })
    };
    let mut seen = BTreeSet::new();
    if let Some(twice) = entries.iter().find(|entry| !seen.insert(entry.id)) {
        return refuse(format!("it has `{}` twice", twice.id));
    }
    if entries.len() > 1 && seen.contains(BASELINE) {
        return refuse(format!(
            "`{BASELINE}` is the baseline, which has no terms to add"
        ));
    }
    if entries.len() > 1
        && let Some(procedure) = entries.iter().find(|entry| entry.is_procedure())
    {
        return refuse(format!(
            "`{}` has training steps of its own, and only methods that add terms to one step can \
             be joined; use it alone",
            procedure.id
        ));
    }
    if entries.len() > 1
        && let Some((id, command)) = entries.iter().find_map(|e| Some((e.id, e.command()?)))
    {
        return refuse(format!(
            "`{id}` is trained by `{command}` alone, not in a run"
        ));
    }
    Ok(entries)
}

/// Refuses a method that no run can train, since a command of its own does.
///
/// # Errors
/// [`MethodError::OwnCommand`], and as [`entries`].
pub fn check_trainable(name: &str) -> Result<(), MethodError> {
    let with_command = |entry: &&MethodEntry| Some((entry.id, entry.command()?));
    match entries(name)?.iter().find_map(with_command) {
        Some((method, command)) => Err(MethodError::OwnCommand { method, command }),
        None => Ok(()),
    }
}

/// Whether a part of the method called `name` reads a teacher.
///
/// # Errors
/// As [`entries`].
pub fn needs_teacher(name: &str) -> Result<bool, MethodError> {
    Ok(entries(name)?.iter().any(|entry| entry.needs_teacher))
}

/// Whether all parts of the method called `name` that read a teacher read nothing that depends on what
/// its classes are, and there is such a part.
///
/// # Errors
/// As [`entries`].
pub fn takes_any_classes(name: &str) -> Result<bool, MethodError> {
    let entries = entries(name)?;
    let mut readers = entries
        .iter()
        .filter(|entry| entry.needs_teacher)
        .peekable();
    Ok(readers.peek().is_some() && readers.all(|entry| entry.any_classes))
}

/// Refuses a method that cannot learn from this data: it does not serve the task, or it needs
/// labels and there are none. One part of a combination that has a teacher is enough to go on
/// without the supervised loss, as long as no part reads labels itself.
///
/// # Errors
/// [`MethodError::Task`] and [`MethodError::NoLabels`], which name the methods that fit;
/// [`MethodError::OwnCommand`].
pub fn check_data(
    name: &str,
    settings: &BTreeMap<String, Value>,
    task: TaskKind,
    labelled: bool,
) -> Result<(), MethodError> {
    check_trainable(name)?;
    let entries = entries(name)?;
    if let Some(entry) = entries.iter().find(|entry| !entry.tasks.contains(&task)) {
        return Err(MethodError::Task {
            method: entry.id,
            task,
        });
    }
    if labelled || task == TaskKind::Pretraining {
        return Ok(());
    }
    for entry in &entries {
        let needs = match entries.iter().any(|entry| entry.needs_teacher) {
            true => entry.reads_labels(settings_of(settings, entry.id))?,
            false => true,
        };
        if needs {
            return Err(MethodError::NoLabels {
                reader: format!("method `{}`", entry.id),
            });
        }
    }
    Ok(())
}

/// Whether the method called `name` pre-trains: it learns embeddings, whatever labels there are.
///
/// # Errors
/// As [`entries`].
pub fn pretrains(name: &str) -> Result<bool, MethodError> {
    let entries = entries(name)?;
    Ok(entries
        .iter()
        .all(|entry| entry.tasks == [TaskKind::Pretraining]))
}

/// What is trained beside the method called `name` for comparison ([`MethodEntry::baseline`]): that
/// of its first part, and those of its settings that this has too.
///
/// # Errors
/// As [`entries`].
pub fn baseline_of(
    name: &str,
    settings: &BTreeMap<String, Value>,
) -> Result<(&'static str, BTreeMap<String, Value>), MethodError> {
    let entries = entries(name)?;
    let Some(entry) = entries.first() else {
        return Ok((BASELINE, BTreeMap::new()));
    };
    let known = (crate::find(entry.baseline)?.defaults)();
    let mut common = settings_of(settings, entry.id);
    if let Value::Object(table) = &mut common {
        table.retain(|key, _| known.get(key).is_some());
    }
    Ok((entry.baseline, [(entry.baseline.to_owned(), common)].into()))
}

fn settings_of(settings: &BTreeMap<String, Value>, id: &str) -> Value {
    let table = settings.get(id).cloned();
    table.unwrap_or_else(|| Value::Object(serde_json::Map::new()))
}

/// Makes the method called `name` ready to train `student` with: a procedure and everybody that
/// it trains. Criteria, one or several joined by `+`, are run by [`OneStage`].
///
/// # Errors
/// As [`build`], and networks that cannot be built.
pub fn cast(
    name: &str,
    settings: &BTreeMap<String, Value>,
    probe: &Probe,
    student: Network,
) -> Result<(Box<dyn Procedure>, Cast), MethodError> {
    let mut cast = Cast::new(student);
    if let [entry] = entries(name)?.as_slice()
        && let Build::Procedure(build) = entry.build
    {
        let procedure = build(settings_of(settings, entry.id), probe, &mut cast)?;
        refuse_unused_pairs(name, probe, &procedure.pairs())?;
        return Ok((procedure, cast));
    }
    if let [entry] = entries(name)?.as_slice()
        && let Some(staged) = entry.staged
        && let Some(procedure) = staged(settings_of(settings, entry.id), probe, &mut cast)?
    {
        return Ok((procedure, cast));
    }
    let procedure = OneStage::new(build(name, settings, probe)?, &mut cast);
    Ok((Box::new(procedure), cast))
}

fn refuse_unused_pairs(
    name: &str,
    probe: &Probe,
    pairs: &[(String, String)],
) -> Result<(), MethodError> {
    if probe.pairs.is_some() && pairs.is_empty() {
        return Err(MethodError::Pairs {
            method: name.to_owned(),
            reason: "layer pairs were named, but it compares no layers; leave them out".to_owned(),
        });
    }
    Ok(())
}

/// Builds the criterion called `name`, or several joined by `+`. `settings` are tables by method;
/// what is missing takes its default.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use burn::tensor::{DType, Device};
/// use limbeck_methods::{Probe, TrainingPart, build};
/// use limbeck_nn::{InputShape, model::outline};
///
/// let input = InputShape { channels: 3, height: 32, width: 32, classes: 100 };
/// let probe = Probe {
///     student: outline("resnet8x4", input)?.taps,
///     teacher: Some(outline("resnet32x4", input)?.taps),
///     classes: 100,
///     batch: 64,
///     pairs: None,
///     seed: 0,
///     device: Device::flex(),
///     dtype: DType::F32,
///     training: TrainingPart::default(),
///     teacher_classifier: None,
///     teacher_network: None,
/// };
/// let settings = [("fitnet".to_owned(), serde_json::json!({ "weight": 50 }))];
/// let method = build("fitnet", &settings.into(), &probe)?;
/// assert_eq!(method.pairs(), [("stage2".to_owned(), "stage2".to_owned())]);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// An unknown method, a setting that is unknown or out of range, no teacher where one is needed,
/// or features that cannot be matched.
pub fn build(
    name: &str,
    settings: &BTreeMap<String, Value>,
    probe: &Probe,
) -> Result<Method, MethodError> {
    check_trainable(name)?;
    let entries = entries(name)?;
    let mut store = Store::new(&probe.device, probe.dtype);
    let mut builder = Builder::new(&mut store, probe.seed);
    let mut parts = Vec::new();
    for entry in &entries {
        let Build::Criterion(build) = entry.build else {
            return Err(MethodError::Combination {
                name: name.to_owned(),
                reason: "it has training steps of its own; `cast` makes it".to_owned(),
            });
        };
        let mut level = match entries.len() {
            1 => builder.sub_self(),
            _ => builder.sub(entry.id),
        };
        parts.push(Part {
            id: entry.id,
            criterion: build(settings_of(settings, entry.id), probe, &mut level)?,
        });
    }
    let method = Method { parts, store };
    refuse_unused_pairs(name, probe, &method.pairs())?;
    Ok(method)
}

impl Method {
    /// A single criterion that is not in the catalogue, called `id`.
    pub(crate) fn of(
        id: &'static str,
        probe: &Probe,
        build: impl FnOnce(&mut Builder<'_>) -> Result<Box<dyn Criterion>, MethodError>,
    ) -> Result<Self, MethodError> {
        let mut store = Store::new(&probe.device, probe.dtype);
        let criterion = build(&mut Builder::new(&mut store, probe.seed))?;
        let parts = vec![Part { id, criterion }];
        let method = Self { parts, store };
        refuse_unused_pairs(id, probe, &method.pairs())?;
        Ok(method)
    }

    /// What is read.
    pub fn needs(&self) -> Needs {
        let mut needs = Needs::default();
        for part in &self.parts {
            let more = part.criterion.needs();
            needs.student.merge(&more.student);
            needs.teacher.merge(&more.teacher);
            needs.logits |= more.logits;
        }
        needs
    }

    /// Factor of the supervised loss: the greatest that a part asks for. So `kd` joined to a
    /// method on features leaves that method's supervised loss as it is and adds its own term,
    /// as papers do that report a method "with KD".
    pub fn task_weight(&self) -> f64 {
        let weights = self.parts.iter().map(|part| part.criterion.task_weight());
        weights.fold(0.0, f64::max)
    }

    /// What is wanted of the images: what the first part with a wish of its own wants.
    pub fn images(&self) -> Images {
        let mut wishes = self.parts.iter().map(|part| part.criterion.images());
        let own = wishes.find(|images| *images != Images::default());
        own.unwrap_or_default()
    }

    /// The terms of one step, part by part. `pass` is a training pass over [`Method::store`] or
    /// over a tracked copy of it.
    ///
    /// # Errors
    /// A batch that a part cannot use.
    pub fn terms(
        &mut self,
        step: &Step<'_>,
        pass: &mut Pass<'_>,
    ) -> Result<Vec<Term>, MethodError> {
        let mut terms: Vec<(&str, Term)> = Vec::new();
        for part in &mut self.parts {
            let more = part.criterion.terms(step, pass)?;
            if more.is_empty() && part.id != BASELINE {
                return Err(MethodError::NoTerms {
                    method: part.id.to_owned(),
                });
            }
            terms.extend(more.into_iter().map(|term| (part.id, term)));
        }
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for (_, term) in &terms {
            *counts.entry(term.name.clone()).or_default() += 1;
        }
        let named = terms.into_iter().map(|(id, mut term)| {
            if counts.get(&term.name).is_some_and(|&count| count > 1) {
                term.name = format!("{id}.{}", term.name);
            }
            term
        });
        Ok(named.collect())
    }

    /// Modules that are trained along and thrown away afterwards; empty where there are none.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Moves the modules out to whoever trains them; the method keeps none.
    pub(crate) fn take_store(&mut self) -> Store {
        let empty = Store::new(self.store.device(), self.store.dtype());
        std::mem::replace(&mut self.store, empty)
    }

    /// The same, to update.
    pub fn store_mut(&mut self) -> &mut Store {
        &mut self.store
    }

    /// To be called before the first step of each epoch.
    pub fn start_epoch(&mut self) {
        for part in &mut self.parts {
            part.criterion.start_epoch();
        }
    }

    /// What is remembered from step to step besides the modules: part of checkpoints.
    pub fn state(&self) -> State {
        let mut state = State::new();
        for part in &self.parts {
            let prefix = self.prefix(part.id);
            let named = part.criterion.state().into_iter();
            state.extend(named.map(|(name, value)| (format!("{prefix}{name}"), value)));
        }
        state
    }

    /// Takes back what [`Method::state`] gave.
    ///
    /// # Errors
    /// [`MethodError::State`] where it does not fit.
    pub fn load_state(&mut self, mut state: State) -> Result<(), MethodError> {
        let prefixes: Vec<String> = self.parts.iter().map(|part| self.prefix(part.id)).collect();
        for (part, prefix) in self.parts.iter_mut().zip(prefixes) {
            let names: Vec<String> = state.keys().cloned().collect();
            let own = names.into_iter().filter_map(|full| {
                let name = full.strip_prefix(&prefix)?.to_owned();
                Some((name, state.remove(&full)?))
            });
            part.criterion.load_state(own.collect())?;
        }
        Ok(())
    }

    /// Layer pairs `(student tap, teacher tap)` that are compared, for the user to see.
    pub fn pairs(&self) -> Vec<(String, String)> {
        let mut pairs = Vec::new();
        for pair in self.parts.iter().flat_map(|part| part.criterion.pairs()) {
            if !pairs.contains(&pair) {
                pairs.push(pair);
            }
        }
        pairs
    }

    fn prefix(&self, id: &str) -> String {
        match self.parts.len() {
            1 => String::new(),
            _ => format!("{id}."),
        }
    }
}
