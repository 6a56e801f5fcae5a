//! Puts a recipe together from several sources.

use std::fs;
use std::path::Path;

use limbeck_data::{ColourJitter, PadCrop, RandomResizedCrop, RandomScale};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::node::{self, Node, Table, Value};
use super::{
    MethodRecipe, Mistake, OptimizerName, OptimizerRecipe, Place, Recipe, RecipeError, SideBySide,
    StudentRecipe,
    defaults::{DETECTOR_MINIMUM, Grounds},
    method_tables, typed,
};

/// How a recipe says that images are not scaled at random, or parts of them, where they would be.
const NO_SCALE: [f64; 2] = [0.0, 0.0];

/// How a recipe says that colours stay where they would be changed.
const NO_COLOURS: ColourJitter = ColourJitter {
    brightness: 0.0,
    contrast: 0.0,
    saturation: 0.0,
    hue: 0.0,
};

/// Parts of a dotted key: more than any recipe has, and few enough to go through one by one.
const DEEPEST: usize = 16;

/// Everything that was asked for so far. What is added later wins; what nobody asked for takes
/// its default in [`Layers::resolve`].
#[derive(Clone, Debug, Default)]
pub struct Layers {
    table: Table,
}

impl Layers {
    /// Nothing asked for.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the recipe file at `path`.
    ///
    /// # Errors
    /// A file that cannot be read, or that is not TOML. Keys and values are looked at by
    /// [`Layers::resolve`].
    pub fn read(&mut self, path: &Path) -> Result<(), RecipeError> {
        let text = fs::read_to_string(path).map_err(|source| RecipeError::Read {
            path: path.to_owned(),
            source,
        })?;
        self.parse(&text, &path.display().to_string())
    }

    /// Adds the TOML document `text`; errors name it as `origin`.
    ///
    /// # Errors
    /// Text that is not TOML.
    pub fn parse(&mut self, text: &str, origin: &str) -> Result<(), RecipeError> {
        node::merge(&mut self.table, node::parse(text, origin)?);
        Ok(())
    }

    /// Adds a table, such as one made from command-line flags; errors name it as `origin`.
    /// Like everything that is added, it wins over what is there.
    pub fn merge(&mut self, table: &toml::Table, origin: &str) {
        let table = node::from_table(table, &Place::of(origin));
        node::merge(&mut self.table, table);
    }

    /// Lays a table below everything that is there, such as what a data set suggests; errors name
    /// it as `origin`.
    pub fn lay_below(&mut self, table: &toml::Table, origin: &str) {
        let mut below = node::from_table(table, &Place::of(origin));
        node::merge(&mut below, std::mem::take(&mut self.table));
        self.table = below;
    }

    /// Adds one assignment `key=value`, the argument of `--set`. The key is dotted; the value is
    /// TOML, or a text without quotes.
    ///
    /// # Errors
    /// An assignment of another form.
    pub fn set(&mut self, assignment: &str) -> Result<(), RecipeError> {
        let wrong = || RecipeError::Assignment {
            found: assignment.to_owned(),
        };
        let (key, value) = assignment.split_once('=').ok_or_else(wrong)?;
        let (key, value) = (key.trim(), value.trim());
        let parts: Vec<&str> = key.split('.').map(str::trim).collect();
        let is_key = parts.len() <= DEEPEST && parts.iter().all(|part| !part.is_empty());
        if value.is_empty() || !is_key {
            return Err(wrong());
        }
        let value = match format!("value = {value}").parse::<toml::Table>() {
            Ok(table) if table.len() == 1 => {
                table.get("value").cloned().unwrap_or_else(|| value.into())
            }
            _ => value.into(),
        };
        let place = Place::of(&format!("--set {assignment}"));
        let mut node = node::from_value(&value, &place);
        for part in parts.into_iter().rev() {
            node = Node {
                place: place.clone(),
                value: Value::Table(Table::from([(part.to_owned(), node)])),
            };
        }
        if let Value::Table(table) = node.value {
            node::merge(&mut self.table, table);
        }
        Ok(())
    }

    /// The typed recipe: what was asked for over the defaults, checked. Settings that the chosen
    /// methods were not given are filled in with their defaults.
    ///
    /// # Errors
    /// Unknown keys and names, wrong types, values out of range.
    pub fn resolve(&self) -> Result<Recipe, RecipeError> {
        method_tables::check(&self.table)?;
        // What decides the defaults is read over the common ones.
        let asked = self.over(&Recipe::default())?;
        let defaults = asked.own_defaults();
        let mut recipe = self.over(&defaults)?;
        self.default_by_optimizer(&mut recipe.optimizer, &defaults.optimizer);
        recipe.augment.pad_crop = recipe.augment.pad_crop.filter(|crop| crop.pixels > 0);
        let crop = recipe.augment.random_resized_crop.take();
        recipe.augment.random_resized_crop = crop.filter(|it| it.scale != NO_SCALE);
        let scale = recipe.augment.random_scale.take();
        let other_crop =
            recipe.augment.random_resized_crop.is_some() && !self.asks_for("augment.random_scale");
        recipe.augment.random_scale = scale.filter(|it| it.range != NO_SCALE && !other_crop);
        let colours = recipe.augment.colour_jitter.take();
        recipe.augment.colour_jitter = colours.filter(|it| *it != NO_COLOURS);
        let detects = recipe.detects();
        let asks_for_epochs = self.asks_for("schedule.warmup_epochs");
        if detects && asks_for_epochs && !self.asks_for("schedule.warmup_iterations") {
            recipe.schedule.warmup_iterations = None;
        }
        if let (Some(steps), Some(all)) =
            (recipe.schedule.warmup_iterations, recipe.train.iterations)
            && !self.asks_for("schedule.warmup_iterations")
        {
            recipe.schedule.warmup_iterations = Some(steps.min((all / 5).max(1)));
        }
        if detects {
            self.default_by_rate(&mut recipe);
        }
        method_tables::fill(&mut recipe.method, detects);
        recipe.mistake().map_err(|mistake| self.locate(mistake))?;
        Ok(recipe)
    }

    /// What was asked for over `defaults`, as it stands.
    fn over(&self, defaults: &Recipe) -> Result<Recipe, RecipeError> {
        let mut table = node::from_table(&as_table(defaults)?, &Place::default());
        node::merge(&mut table, self.table.clone());
        typed::read(&table)
    }

    /// Where the dotted `key` was written, or the table around it; empty if nowhere.
    pub fn place(&self, key: &str) -> Place {
        node::place_of(&self.table, key)
    }

    /// Whether anything was asked for under the dotted `key`.
    pub fn asks_for(&self, key: &str) -> bool {
        node::find(&self.table, key).is_some()
    }

    /// The text that was asked for under the dotted `key`.
    pub fn text(&self, key: &str) -> Option<&str> {
        match &node::find(&self.table, key)?.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Learning rate and weight decay have other defaults for other optimisers than that of `own`.
    fn default_by_optimizer(&self, optimizer: &mut OptimizerRecipe, own: &OptimizerRecipe) {
        let defaults = of_optimizer(optimizer.name, own);
        if !self.asks_for("optimizer.learning_rate") {
            optimizer.learning_rate = defaults.learning_rate;
        }
        if !self.asks_for("optimizer.weight_decay") {
            optimizer.weight_decay = defaults.weight_decay;
        }
    }

    /// A detector's schedule follows its optimiser's rate, and biases start high with SGD alone.
    fn default_by_rate(&self, recipe: &mut Recipe) {
        if !self.asks_for("schedule.minimum") {
            recipe.schedule.minimum = DETECTOR_MINIMUM * recipe.optimizer.learning_rate;
        }
        let is_adamw = recipe.optimizer.name == OptimizerName::AdamW;
        if is_adamw && !self.asks_for("schedule.warmup_biases") {
            recipe.schedule.warmup_biases = None;
        }
    }

    /// Adds where the value was written.
    fn locate(&self, mistake: Mistake) -> RecipeError {
        let place = self.place(mistake.key());
        mistake.at(place)
    }
}

impl Recipe {
    /// Reads and checks the recipe file at `path`.
    ///
    /// # Errors
    /// A file that cannot be read or is not TOML, unknown keys and names, wrong types, values out
    /// of range.
    pub fn read(path: &Path) -> Result<Self, RecipeError> {
        let mut layers = Layers::new();
        layers.read(path)?;
        layers.resolve()
    }

    /// Reads and checks the recipe `text`; errors name it as `origin`.
    ///
    /// # Errors
    /// As [`Recipe::read`].
    pub fn parse(text: &str, origin: &str) -> Result<Self, RecipeError> {
        let mut layers = Layers::new();
        layers.parse(text, origin)?;
        layers.resolve()
    }

    /// Applies one assignment `key=value`; see [`Layers::set`]. Values that are at their default
    /// count as not asked for: choosing another optimiser brings that optimiser's defaults.
    ///
    /// # Errors
    /// An assignment of another form, and as [`Recipe::read`]; the recipe is then unchanged.
    pub fn set(&mut self, assignment: &str) -> Result<(), RecipeError> {
        let mut layers = Layers::new();
        layers.merge(&self.asked_for()?, "recipe");
        layers.set(assignment)?;
        *self = layers.resolve()?;
        Ok(())
    }

    /// The whole recipe as TOML, with every default written out; reads back as an equal one.
    ///
    /// # Errors
    /// A number that TOML cannot hold, such as a seed above 2⁶³ − 1.
    pub fn to_toml(&self) -> Result<String, RecipeError> {
        toml::to_string(&self.filled()).map_err(|error| refused(&error))
    }

    /// SHA-256, in hexadecimal, of everything in the recipe that can change a bit of the result:
    /// all but the numbers of threads, workers and trainings at the same time, and the place of the data, whose content has a
    /// fingerprint of its own.
    ///
    /// # Errors
    /// As [`Recipe::to_toml`].
    pub fn fingerprint(&self) -> Result<String, RecipeError> {
        let mut recipe = self.clone();
        recipe.data.path = String::new();
        recipe.data.workers = 0;
        recipe.train.threads = None;
        recipe.train.recompute = false;
        recipe.train.side_by_side = SideBySide::Auto;
        let digest = Sha256::digest(recipe.to_toml()?);
        Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// What this recipe would be if it said no more than its student.
    fn own_defaults(&self) -> Self {
        Self::defaults(Grounds {
            model: &self.student.model,
            kind: self.task.kind,
            pretrains: limbeck_methods::pretrains(&self.method.name).unwrap_or(false),
            starts_trained: self.student.weights.is_some() || self.student.backbone.is_some(),
        })
    }

    /// With the settings of the chosen methods filled in, and crops that are off written out.
    fn filled(&self) -> Self {
        let mut recipe = self.clone();
        if self.own_defaults().augment.random_scale.is_some() {
            let off = RandomScale { range: NO_SCALE };
            recipe.augment.random_scale.get_or_insert(off);
        }
        if self.own_defaults().augment.random_resized_crop.is_some() {
            let off = RandomResizedCrop {
                scale: NO_SCALE,
                ..RandomResizedCrop::default()
            };
            recipe.augment.random_resized_crop.get_or_insert(off);
        }
        if self.own_defaults().augment.colour_jitter.is_some() {
            recipe.augment.colour_jitter.get_or_insert(NO_COLOURS);
        }
        recipe.augment.pad_crop.get_or_insert(PadCrop {
            pixels: 0,
            ..PadCrop::default()
        });
        method_tables::fill(&mut recipe.method, self.detects());
        recipe
    }

    /// What differs from the defaults.
    fn asked_for(&self) -> Result<toml::Table, RecipeError> {
        let own = self.own_defaults();
        let defaults = Self {
            optimizer: of_optimizer(self.optimizer.name, &own.optimizer),
            student: StudentRecipe::default(),
            method: MethodRecipe {
                name: self.method.name.clone(),
                ..MethodRecipe::default()
            },
            ..own.clone()
        };
        let mut table = as_table(&self.filled())?;
        without(&mut table, &as_table(&defaults.filled())?);
        if self.optimizer.name != own.optimizer.name {
            put(&mut table, "optimizer", "name", &self.optimizer.name)?;
        }
        put(&mut table, "method", "name", &self.method.name)?;
        Ok(table)
    }
}

/// The defaults of the optimiser `name` in a recipe whose own is `own`. One that is to be chosen yet has the
/// values of SGD.
fn of_optimizer(name: OptimizerName, own: &OptimizerRecipe) -> OptimizerRecipe {
    let is_own = name == own.name;
    match is_own || (name == OptimizerName::Sgd && own.name == OptimizerName::Auto) {
        true => OptimizerRecipe {
            name,
            ..own.clone()
        },
        false => OptimizerRecipe::of(name),
    }
}

fn refused(error: &toml::ser::Error) -> RecipeError {
    let mistake = Mistake::Refused {
        key: "recipe".to_owned(),
        reason: error.to_string(),
    };
    mistake.at(Place::default())
}

fn as_table(recipe: &Recipe) -> Result<toml::Table, RecipeError> {
    toml::Table::try_from(recipe).map_err(|error| refused(&error))
}

fn put(
    table: &mut toml::Table,
    section: &str,
    key: &str,
    value: &impl Serialize,
) -> Result<(), RecipeError> {
    let value = toml::Value::try_from(value).map_err(|error| refused(&error))?;
    let section = table
        .entry(section)
        .or_insert_with(|| toml::Table::new().into());
    if let Some(section) = section.as_table_mut() {
        section.insert(key.to_owned(), value);
    }
    Ok(())
}

/// Removes from `table` what is the same in `defaults`.
fn without(table: &mut toml::Table, defaults: &toml::Table) {
    table.retain(|key, value| match (value, defaults.get(key)) {
        (toml::Value::Table(table), Some(toml::Value::Table(defaults))) => {
            without(table, defaults);
            !table.is_empty()
        }
        (value, default) => Some(&*value) != default,
    });
}
