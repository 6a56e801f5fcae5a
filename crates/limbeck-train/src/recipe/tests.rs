//! How recipes are read, put together and refused.

use proptest::prelude::*;

use super::*;

fn message(text: &str) -> String {
    Recipe::parse(text, "recipe.toml").unwrap_err().to_string()
}

fn layered(text: &str, assignments: &[&str]) -> Result<Recipe, RecipeError> {
    let mut layers = Layers::new();
    layers.parse(text, "recipe.toml")?;
    for assignment in assignments {
        layers.set(assignment)?;
    }
    layers.resolve()
}

#[test]
fn the_defaults_are_in_range_and_an_empty_file_gives_them() {
    let defaults = Recipe::default();
    defaults.check().unwrap();
    let mut empty = Recipe::parse("", "recipe.toml").unwrap();
    assert_eq!(
        empty.method.settings["kd"]["temperature"].as_float(),
        Some(4.0)
    );
    empty.method.settings.clear();
    assert_eq!(empty, defaults);
}

#[test]
fn a_file_wins_over_defaults_flags_over_the_file_and_assignments_over_flags() {
    let mut layers = Layers::new();
    layers
        .parse("[train]\nepochs = 5\nseeds = 2\nseed = 7", "recipe.toml")
        .unwrap();
    let flags = "[train]\nepochs = 6\nseeds = 3".parse().unwrap();
    layers.merge(&flags, "command line");
    layers.set("train.epochs=8").unwrap();
    let train = layers.resolve().unwrap().train;
    assert_eq!((train.epochs, train.seeds, train.seed), (8, 3, 7));
    assert_eq!(train.accumulate, 1);
}

#[test]
fn unknown_keys_name_file_line_column_and_the_nearest_key() {
    assert_eq!(
        message("[train]\nepochs = 3\n\n[optimizer]\n  learningrate = 0.1\n"),
        "recipe.toml:5:3: unknown key `learningrate` in [optimizer]; did you mean \
         `learning_rate`?"
    );
    assert_eq!(
        message("[optimiser]\nname = \"sgd\""),
        "recipe.toml:1:2: unknown key `optimiser` at the top of the recipe; did you mean \
         `optimizer`?"
    );
    assert_eq!(
        message("train = { epochs = 3, sedes = 2 }"),
        "recipe.toml:1:23: unknown key `sedes` in [train]; did you mean `seeds`?"
    );
    assert_eq!(
        message("[teacher]\ncolour = 1"),
        "recipe.toml:2:1: unknown key `colour` in [teacher]; known: source, model"
    );
}

#[test]
fn unknown_keys_and_names_of_methods_name_the_nearest() {
    assert_eq!(
        message("[method.kd]\ntemprature = 2.0"),
        "recipe.toml:2:1: unknown key `temprature` in [method.kd]; did you mean `temperature`?"
    );
    assert_eq!(
        message("[method]\nnmae = \"kd\""),
        "recipe.toml:2:1: unknown key `nmae` in [method]; did you mean `name`?"
    );
    assert_eq!(
        message("[method]\nname = \"nonne\""),
        "recipe.toml:2:1: `method.name`: unknown name `nonne`; did you mean `none`?"
    );
    assert_eq!(
        message("[method.none]\nx = 1"),
        "recipe.toml:2:1: unknown key `x` in [method.none]; it takes none"
    );
    let error = layered("", &["method.kd.weight=2"]).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("--set method.kd.weight=2: unknown key `weight`"),
        "{error}"
    );
}

#[test]
fn unknown_choices_name_the_nearest() {
    assert_eq!(
        message("[optimizer]\nname = \"adam\""),
        "recipe.toml:2:1: `optimizer.name`: unknown name `adam`; did you mean `adamw`?"
    );
    assert_eq!(
        message("[schedule]\nname = \"multistep\""),
        "recipe.toml:2:1: `schedule.name`: unknown name `multistep`; did you mean `multi-step`?"
    );
}

#[test]
fn wrong_types_name_what_was_expected_and_found() {
    for (text, expected) in [
        (
            "[train]\nepochs = \"ten\"",
            "recipe.toml:2:1: `train.epochs` must be a whole number of at least 0, found the \
             text \"ten\"",
        ),
        (
            "[train]\nepochs = -1",
            "recipe.toml:2:1: `train.epochs` must be a whole number of at least 0, found -1",
        ),
        (
            "[train]\nepochs = 1.5",
            "recipe.toml:2:1: `train.epochs` must be a whole number of at least 0, found 1.5",
        ),
        (
            "[train]\nbaseline = 1",
            "recipe.toml:2:1: `train.baseline` must be true or false, found 1",
        ),
        (
            "[data]\npath = 3",
            "recipe.toml:2:1: `data.path` must be a text, found 3",
        ),
        (
            "[schedule]\nmilestones = [0.5, \"x\"]",
            "recipe.toml:2:20: `schedule.milestones` must be a number, found the text \"x\"",
        ),
        (
            "data = 3",
            "recipe.toml:1:1: `data` must be a table, found 3",
        ),
        (
            "[optimizer]\nname = 3",
            "recipe.toml:2:1: `optimizer.name`: expected a name, or a table with one name as its key",
        ),
    ] {
        assert_eq!(message(text), expected);
    }
}

#[test]
fn text_that_is_not_toml_names_line_and_column() {
    let message = message("[train]\nepochs = \n");
    assert!(message.starts_with("recipe.toml:2:"), "{message}");
    assert!(message.contains("not TOML"), "{message}");
    let message = super::tests::message("[train]\nepochs = 3\nepochs = 4\n");
    assert!(message.starts_with("recipe.toml:3:1: "), "{message}");
}

#[test]
fn values_out_of_range_name_key_value_range_and_line() {
    assert_eq!(
        message("[data]\n# none at all\nbatch = 0\n"),
        "recipe.toml:3:1: `data.batch` must be a whole number of at least 1, found 0"
    );
    for (assignment, key, range) in [
        ("data.path=''", "data.path", "not empty"),
        (
            "data.validation=0",
            "data.validation",
            "above 0 and below 1",
        ),
        (
            "data.validation=1.0",
            "data.validation",
            "above 0 and below 1",
        ),
        (
            "data.validation=nan",
            "data.validation",
            "above 0 and below 1",
        ),
        ("data.limit=0", "data.limit", "at least 1"),
        ("data.workers=9999", "data.workers", "from 0 to 1024"),
        ("student.model=''", "student.model", "not empty"),
        (
            "optimizer.learning_rate=-0.1",
            "optimizer.learning_rate",
            "above 0",
        ),
        (
            "optimizer.learning_rate=inf",
            "optimizer.learning_rate",
            "above 0",
        ),
        ("optimizer.momentum=1", "optimizer.momentum", "below 1"),
        (
            "optimizer.dampening=1.1",
            "optimizer.dampening",
            "from 0 to 1",
        ),
        (
            "optimizer.weight_decay=-1",
            "optimizer.weight_decay",
            "at least 0",
        ),
        ("optimizer.beta1=1", "optimizer.beta1", "below 1"),
        ("optimizer.beta2=-0.5", "optimizer.beta2", "below 1"),
        ("optimizer.epsilon=0", "optimizer.epsilon", "above 0"),
        (
            "schedule.milestones=[0.5, 0.5]",
            "schedule.milestones",
            "rising",
        ),
        (
            "schedule.milestones=[1.5]",
            "schedule.milestones",
            "below 1",
        ),
        ("schedule.gamma=2", "schedule.gamma", "at most 1"),
        ("schedule.power=0", "schedule.power", "above 0"),
        (
            "schedule.minimum=1",
            "schedule.minimum",
            "learning_rate (0.05)",
        ),
        (
            "schedule.warmup_epochs=31",
            "schedule.warmup_epochs",
            "train.epochs (30)",
        ),
        ("train.epochs=0", "train.epochs", "at least 1"),
        ("train.seeds=0", "train.seeds", "at least 1"),
        ("train.seed=9223372036854775807", "train.seed", "below 2^63"),
        (
            "train.label_smoothing=1",
            "train.label_smoothing",
            "below 1",
        ),
        ("train.clip_norm=0", "train.clip_norm", "above 0"),
        ("train.average=1", "train.average", "below 1"),
        ("train.accumulate=0", "train.accumulate", "at least 1"),
        ("train.threads=0", "train.threads", "at least 1"),
    ] {
        let error = layered("", &[assignment]).unwrap_err();
        let RecipeError::Value { place, .. } = &error else {
            panic!("{assignment}: {error}");
        };
        assert_eq!(place.origin, format!("--set {assignment}"));
        let message = error.to_string();
        assert!(message.contains(&format!("`{key}`")), "{message}");
        assert!(message.contains(range), "{message}");
    }
}

#[test]
fn nesterov_needs_momentum_and_no_dampening() {
    for other in ["optimizer.momentum=0", "optimizer.dampening=0.1"] {
        let error = layered("[optimizer]\nnesterov = true", &[other]).unwrap_err();
        assert!(error.to_string().contains("recipe.toml:2:1"), "{error}");
    }
    layered("[optimizer]\nnesterov = true", &[]).unwrap();
}

#[test]
fn each_optimizer_has_its_own_defaults() {
    let adamw = layered("", &["optimizer.name=adamw"]).unwrap().optimizer;
    assert_eq!(adamw, OptimizerRecipe::of(OptimizerName::AdamW));
    let given = "[optimizer]\nlearning_rate = 0.05\nweight_decay = 0.0005";
    let adamw = layered(given, &["optimizer.name=adamw"]).unwrap().optimizer;
    assert_eq!((adamw.learning_rate, adamw.weight_decay), (0.05, 5e-4));
}

#[test]
fn assignments_take_toml_and_bare_texts() {
    let mut recipe = Recipe::default();
    for assignment in [
        "student.model = resnet20",
        "data.path=/some/folder with spaces",
        "data.limit=500",
        "method.kd.temperature=2",
        "method.pairs=[[\"stage1\", \"stage2\"]]",
        "optimizer.nesterov=true",
        "train.clip_norm=1e1",
        "teacher.source=\"runs/a=b\"",
    ] {
        recipe.set(assignment).unwrap();
    }
    assert_eq!(recipe.student.model, "resnet20");
    assert_eq!(recipe.data.path, "/some/folder with spaces");
    assert_eq!(recipe.data.limit, Some(500));
    assert_eq!(recipe.method.values()["kd"]["temperature"], 2.0);
    let pair = ("stage1".to_owned(), "stage2".to_owned());
    assert_eq!(recipe.method.pairs, Some(vec![pair]));
    assert!(recipe.optimizer.nesterov);
    assert_eq!(recipe.train.clip_norm, Some(10.0));
    assert_eq!(recipe.teacher.source.as_deref(), Some("runs/a=b"));
}

#[test]
fn an_assignment_that_fails_changes_nothing() {
    let mut recipe = Recipe::default();
    for assignment in [
        "train.epochs",
        "=3",
        "train.=3",
        "train.epochs=",
        "train.epochs=0",
    ] {
        assert!(recipe.set(assignment).is_err(), "{assignment}");
    }
    assert_eq!(recipe, Recipe::default());
    let error = recipe.set("epochs 3").unwrap_err();
    assert_eq!(
        error.to_string(),
        "--set epochs 3: expected key=value, such as train.epochs=30"
    );
}

#[test]
fn choosing_another_optimizer_by_assignment_brings_its_defaults() {
    let mut recipe = Recipe::default();
    recipe.set("train.epochs=7").unwrap();
    recipe.set("optimizer.name=adamw").unwrap();
    assert_eq!(recipe.optimizer, OptimizerRecipe::of(OptimizerName::AdamW));
    recipe.set("optimizer.beta1=0.8").unwrap();
    assert_eq!(recipe.optimizer.learning_rate, 1e-3);
    recipe.set("optimizer.name=sgd").unwrap();
    assert_eq!(recipe.optimizer.learning_rate, 0.05);
    assert_eq!(recipe.train.epochs, 7);
}

#[test]
fn choosing_another_method_leaves_no_settings_of_the_first_behind() {
    let mut recipe = Recipe::default();
    recipe.set("train.epochs=7").unwrap();
    assert!(recipe.method.settings.contains_key("kd"));
    recipe.set("method.name=none").unwrap();
    assert!(!recipe.method.settings.contains_key("kd"));
}

#[test]
fn methods_that_cannot_be_joined_are_refused_with_their_place() {
    let message = message("[method]\nname = \"kd+kd\"");
    assert!(
        message.starts_with("recipe.toml:2:1: `method.name`: "),
        "{message}"
    );
    assert!(message.contains("twice"), "{message}");
    assert!(layered("", &["method.name=kd+"]).is_err());
}

#[test]
fn augmentation_is_checked_where_it_was_written() {
    let range = message("[augment]\nflip = 2.0");
    assert!(
        range.starts_with("recipe.toml:2:1: `augment.flip` must be "),
        "{range}"
    );
    assert!(range.ends_with("from 0 to 1, found 2"), "{range}");
    assert_eq!(
        message("[augment.pad_crop]\npixel = 2"),
        "recipe.toml:2:1: unknown key `pixel` in [augment.pad_crop]; did you mean `pixels`?"
    );
    let message = message("[augment.normalisation]\nmean = [0.5]");
    assert!(
        message.starts_with("recipe.toml:1:10: `augment.normalisation`"),
        "{message}"
    );
    assert!(message.contains("std"), "{message}");
}

#[test]
fn one_setting_of_augmentation_leaves_the_other_defaults() {
    let augment = layered("", &["augment.flip=0.5"]).unwrap().augment;
    assert_eq!(augment.pad_crop, Recipe::default().augment.pad_crop);
    assert_eq!(augment.flip, 0.5);
}

#[test]
fn the_default_crop_is_switched_off_with_zero_pixels() {
    let recipe = layered("", &["augment.pad_crop.pixels=0"]).unwrap();
    assert_eq!(recipe.augment.pad_crop, None);
    let text = recipe.to_toml().unwrap();
    assert_eq!(Recipe::parse(&text, "recipe.toml").unwrap(), recipe);
}

#[test]
fn what_lies_below_gives_way_to_everything_that_was_asked_for() {
    let mut layers = Layers::new();
    layers
        .parse("[augment]\nchannels = 3", "recipe.toml")
        .unwrap();
    let data_set = "[augment]\nchannels = 1\nsize = [28, 28]".parse().unwrap();
    assert!(layers.asks_for("augment.channels") && !layers.asks_for("augment.size"));
    layers.lay_below(&data_set, "data set");
    let augment = layers.resolve().unwrap().augment;
    assert_eq!((augment.channels, augment.size), (3, [28, 28]));
}

#[test]
fn the_fingerprint_changes_with_what_changes_results_and_with_nothing_else() {
    let print = |assignments: &[&str]| layered("", assignments).unwrap().fingerprint().unwrap();
    let plain = print(&[]);
    assert_eq!(plain.len(), 64);
    assert_eq!(plain, print(&["data.workers=4", "train.threads=2"]));
    assert_eq!(plain, print(&["method.kd.temperature=4"]));
    for assignment in ["train.seed=1", "method.kd.temperature=3", "data.batch=32"] {
        assert_ne!(plain, print(&[assignment]), "{assignment}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let error = Recipe::read(std::path::Path::new("/nowhere/recipe.toml")).unwrap_err();
    assert!(
        error.to_string().contains("/nowhere/recipe.toml"),
        "{error}"
    );
}

proptest! {
    #[test]
    fn the_written_recipe_reads_back_equal(
        epochs in 1_usize..1000,
        rate in 1e-8..10.0_f64,
        limit in proptest::option::of(1_usize..100_000),
        clip_norm in proptest::option::of(1e-3..1e3_f64),
        adamw in any::<bool>(),
        seed in 0_u64..(1 << 62),
        path in "[ -~]*x[ -~éß\n\t]*",
        pairs in proptest::option::of(proptest::collection::vec(("[a-z.]{1,9}", "[a-z]{1,9}"), 0..3)),
        temperature in 0.1..100.0_f64,
    ) {
        let name = if adamw { OptimizerName::AdamW } else { OptimizerName::Sgd };
        let mut recipe = Recipe {
            optimizer: OptimizerRecipe { learning_rate: rate, ..OptimizerRecipe::of(name) },
            ..Recipe::default()
        };
        recipe.train.epochs = epochs;
        recipe.train.seed = seed;
        recipe.train.clip_norm = clip_norm;
        recipe.data.limit = limit;
        recipe.data.path = path;
        recipe.method.pairs = pairs;
        recipe.set(&format!("method.kd.temperature={temperature:?}")).unwrap();
        let text = recipe.to_toml().unwrap();
        prop_assert_eq!(&Recipe::parse(&text, "recipe.toml").unwrap(), &recipe);
    }

    #[test]
    fn any_text_is_read_or_refused_without_a_panic(text in "\\PC{0,80}") {
        let _ = Recipe::parse(&text, "recipe.toml");
        let _ = Recipe::default().set(&text);
    }

    #[test]
    fn a_mutated_recipe_is_read_or_refused_without_a_panic(
        at in any::<prop::sample::Index>(),
        byte in 1_u8..128,
    ) {
        let mut text = Recipe::default().to_toml().unwrap().into_bytes();
        let at = at.index(text.len());
        text[at] = byte;
        let text = String::from_utf8(text).unwrap();
        let _ = Recipe::parse(&text, "recipe.toml");
    }
}
