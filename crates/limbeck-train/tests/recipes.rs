//! The recipes that come with the project can be read.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "all of this crate is tests"
)]

use std::path::Path;

use limbeck_train::recipe::Layers;

#[test]
fn every_recipe_of_the_project_resolves_and_asks_for_its_method() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recipes");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let mut layers = Layers::new();
        layers.read(&path).unwrap();
        match layers.resolve() {
            Ok(recipe) => assert_eq!(Some(recipe.method.name.as_ref()), path.file_stem()),
            Err(error) => panic!("{error}"),
        }
        count += 1;
    }
    assert!(count > 0);
}
