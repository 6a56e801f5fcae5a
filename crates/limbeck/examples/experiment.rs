//! A whole paired experiment on own data with an own network: teacher, student and baseline under
//! several seeds, an interval, the page. Stop it at any time and start it again: it goes on.

use std::{error::Error, path::Path};

use limbeck::data::{Annotation, DataError, Found, Image, OpenOptions, Source};
use limbeck::nn::model;
use limbeck::train::experiment::{Stock, run};
use limbeck::train::{blueprint::Blueprint, observer::Silent, recipe::Recipe, run_folder};

/// Squares, dark or bright, anywhere on a grey ground.
#[derive(Debug)]
struct Squares(Vec<String>);

impl Source for Squares {
    fn classes(&self) -> &[String] {
        &self.0
    }

    fn len(&self) -> usize {
        400
    }
    fn annotation(&self, index: usize) -> Result<Annotation, DataError> {
        Ok(Annotation::Class(index % 2))
    }
    fn image(&self, index: usize) -> Result<Image, DataError> {
        let mut image = Image::filled(16, 16, 1, 128);
        for at in 0..16 {
            let (x, y) = (index * 7 % 12 + at % 4, index * 5 % 11 + at / 4);
            image.pixel_mut(x, y)[0] = [90, 166][index % 2] + (index % 13) as u8;
        }
        Ok(image)
    }
}

fn experiment(out: &Path) -> Result<(), Box<dyn Error>> {
    let names = ["dark", "bright"].map(str::to_owned).to_vec();
    let data = Found::whole("squares", Squares(names)).split(&OpenOptions::default())?;
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
