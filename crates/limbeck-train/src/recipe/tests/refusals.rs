//! Mistakes, and what is said of them.

use super::{layered, message};
use crate::recipe::*;

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
        "recipe.toml:2:1: unknown key `colour` in [teacher]; known: source, model, normalisation, classes, weights_key, size, backbone, shared"
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
            "[method.kd]\ntemperature = \"hot\"",
            "recipe.toml:2:1: `method.kd.temperature` must be a number, found the text \"hot\"",
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
    let message = super::message("[train]\nepochs = 3\nepochs = 4\n");
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
        ("train.side_by_side=0", "train.side_by_side", "at least 1"),
        ("train.side_by_side=-1", "train.side_by_side", "at least 1"),
        ("train.side_by_side=all", "train.side_by_side", "`all`"),
    ] {
        let error = layered("", &[assignment]).unwrap_err();
        let RecipeError::Mistake { place, .. } = &error else {
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
fn keys_of_any_depth_are_refused_without_a_panic() {
    let deep = format!("{}=1", vec!["a"; 100_000].join("."));
    assert!(Recipe::default().set(&deep).is_err());
    assert!(Recipe::parse(&deep, "recipe.toml").is_err());
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
fn size_and_channels_may_be_left_to_the_data_but_not_by_halves() {
    let normalisation = "[augment.normalisation]\nmean = [0.5]\nstd = [0.2]\n";
    layered(normalisation, &[]).unwrap();
    assert!(layered(normalisation, &["augment.channels=3"]).is_err());
    assert!(layered("", &["augment.size=[0, 32]"]).is_err());
    assert!(layered("", &["augment.channels=2"]).is_err());
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let error = Recipe::read(std::path::Path::new("/nowhere/recipe.toml")).unwrap_err();
    assert!(
        error.to_string().contains("/nowhere/recipe.toml"),
        "{error}"
    );
}
