//! What wins over what, and which defaults come with what.

use super::layered;
use crate::recipe::*;

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
fn each_optimizer_has_its_own_defaults() {
    let adamw = layered("", &["optimizer.name=adamw"]).unwrap().optimizer;
    assert_eq!(adamw, OptimizerRecipe::of(OptimizerName::AdamW));
    let given = "[optimizer]\nlearning_rate = 0.05\nweight_decay = 0.0005";
    let adamw = layered(given, &["optimizer.name=adamw"]).unwrap().optimizer;
    assert_eq!((adamw.learning_rate, adamw.weight_decay), (0.05, 5e-4));
}

#[test]
fn networks_that_segment_have_defaults_of_their_own_and_what_is_said_wins() {
    let pspnet = layered("", &["student.model=pspnet_resnet18"]).unwrap();
    assert_eq!(pspnet.data.batch, 8);
    assert_eq!(pspnet.schedule.name, ScheduleName::Polynomial);
    let optimizer = &pspnet.optimizer;
    assert_eq!(
        (optimizer.name, optimizer.learning_rate),
        (OptimizerName::Sgd, 0.01)
    );
    assert!(pspnet.augment.pad_crop.is_none() && pspnet.augment.random_scale.is_some());
    let said = "[augment]\nflip = 0.0\nrandom_scale.range = [0.0, 0.0]\n[data]\nbatch = 3";
    let said = layered(
        said,
        &["student.model=pspnet_resnet18", "optimizer.name=adamw"],
    )
    .unwrap();
    assert_eq!((said.data.batch, said.augment.flip), (3, 0.0));
    assert_eq!(said.augment.random_scale, None);
    assert_eq!(said.optimizer.learning_rate, 1e-3);
    let kind = layered("", &["task.kind=segmentation"]).unwrap();
    assert_eq!(kind.data.batch, 8);
    let crops = layered(
        "[augment.random_resized_crop]",
        &["student.model=pspnet_resnet18"],
    );
    assert_eq!(crops.unwrap().augment.random_scale, None);
}

#[test]
fn recipes_of_networks_that_segment_are_read_back_as_they_were() {
    let mut recipe = layered("", &["student.model=pspnet_resnet18"]).unwrap();
    let read = |recipe: &Recipe| Recipe::parse(&recipe.to_toml().unwrap(), "recipe.toml").unwrap();
    assert_eq!(read(&recipe), recipe);
    recipe.augment.random_scale = None;
    assert_eq!(read(&recipe), recipe);
    recipe.task.class_weights = Some(ClassWeights::ByName([("sky".to_owned(), 0.5)].into()));
    recipe.task.ohem = Some(OhemRecipe::default());
    recipe.evaluate.scales = vec![0.5, 1.0];
    assert_eq!(read(&recipe), recipe);
    recipe.set("train.epochs=3").unwrap();
    assert_eq!((recipe.train.epochs, recipe.data.batch), (3, 8));
    assert_eq!(recipe.augment.random_scale, None);
    recipe.set("task.class_weights=[1, 2.5]").unwrap();
    assert_eq!(
        recipe.task.class_weights,
        Some(ClassWeights::InOrder(vec![1.0, 2.5]))
    );
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
    assert_eq!(plain, print(&["train.side_by_side=2"]));
    assert_eq!(plain, print(&["method.kd.temperature=4"]));
    assert_eq!(plain, print(&["data.path=elsewhere"]));
    for assignment in ["train.seed=1", "method.kd.temperature=3", "data.batch=32"] {
        assert_ne!(plain, print(&[assignment]), "{assignment}");
    }
}

#[test]
fn what_tells_views_apart_has_crops_and_colours_and_a_transformer_what_masked_autoencoders_have() {
    let moco = layered("", &["method.name=moco", "student.model=resnet8"]).unwrap();
    let crop = moco.augment.random_resized_crop.unwrap();
    assert_eq!(crop.scale, [0.2, 1.0]);
    assert_eq!(moco.augment.colour_jitter.unwrap().hue, 0.1);
    assert!(moco.augment.pad_crop.is_none());
    let optimizer = &moco.optimizer;
    assert_eq!(
        (
            optimizer.name,
            optimizer.learning_rate,
            optimizer.weight_decay
        ),
        (OptimizerName::Sgd, 0.03, 1e-4)
    );
    let read = |recipe: &Recipe| Recipe::parse(&recipe.to_toml().unwrap(), "recipe.toml").unwrap();
    assert_eq!(read(&moco), moco);
    let none = "colour_jitter={brightness=0.0,contrast=0.0,saturation=0.0,hue=0.0}";
    let none = format!("augment.{none}");
    let plain = layered("", &["method.name=moco", "student.model=resnet8", &none]).unwrap();
    assert!(plain.augment.colour_jitter.is_none());
    assert_eq!(read(&plain), plain);
    let vit = layered("", &["method.name=moco", "student.model=vit_nano"]).unwrap();
    assert_eq!(vit.optimizer.name, OptimizerName::AdamW);
    assert!(vit.augment.colour_jitter.is_none());
}

#[test]
fn a_detector_without_mosaics_stays_so_when_its_recipe_is_read_back() {
    let recipe = layered("", &["student.model=yolov5n", "augment.mosaic=0.0"]).unwrap();
    assert_eq!(recipe.augment.mosaic, 0.0);
    let read = Recipe::parse(&recipe.to_toml().unwrap(), "recipe.toml").unwrap();
    assert_eq!(read, recipe);
}

#[test]
fn a_list_that_is_too_long_is_not_cut() {
    let mut layers = Layers::new();
    layers.set("augment.size=[1,2,3]").unwrap();
    let error = layers.resolve().unwrap_err().to_string();
    assert!(
        error.contains("`augment.size` must be a list of 2, found 3 elements"),
        "{error}"
    );
}
