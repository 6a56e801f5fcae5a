//! A whole paired experiment on own data with an own network: teacher, student and baseline under
//! several seeds, an interval, the page. Stop it at any time and start it again: it goes on.

use std::{error::Error, path::Path};

use limbeck::data::{DataError, Found, OpenOptions, Packed};
use limbeck::nn::model;
use limbeck::train::experiment::{Stock, run};
use limbeck::train::{blueprint::Blueprint, observer::Silent, recipe::Recipe, run_folder};

/// 400 grey images of 16 pixels square: dark or bright squares, anywhere on a grey ground.
fn squares() -> Result<Packed, DataError> {
    let mut pixels = vec![128; 400 * 256];
    for (index, image) in pixels.chunks_mut(256).enumerate() {
        for at in 0..16 {
            let (x, y) = (index * 7 % 12 + at % 4, index * 5 % 11 + at / 4);
            image[16 * y + x] = [90, 166][index % 2] + (index % 13) as u8;
        }
    }
    let names = ["dark", "bright"].map(str::to_owned).to_vec();
    let labels = (0..400).map(|index| (index % 2) as u8).collect();
    Packed::new(names, [1, 16, 16], labels, pixels)
}

fn experiment(out: &Path) -> Result<(), Box<dyn Error>> {
    let data = Found::whole("squares", squares()?).split(&OpenOptions::default())?;
    // Whatever makes an architecture: see the example `own_network`.
    let student = Blueprint::own("mine", 16, "1", |at, input| {
        model::find("resnet8")?.build(at, input)
    });
    let mut recipe = Recipe::default();
    recipe.teacher.source = Some("resnet14".to_owned());
    recipe.method.name = "kd".to_owned();
    (recipe.train.epochs, recipe.train.seeds) = (2, 3);
    recipe.train.baseline = true;
    let mut stock = Stock::new().with_data(data).with_student(student);
    let results = run(recipe, &mut stock, out, &mut Silent)?;
    println!(
        "{:?}: {}",
        results.gain,
        run_folder::report_of(out).display()
    );
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    experiment(Path::new("runs/experiment"))
}

#[test]
fn it_runs_and_finds_its_results_again() {
    let out = tempfile::tempdir().unwrap();
    experiment(out.path()).unwrap();
    experiment(out.path()).unwrap();
}
