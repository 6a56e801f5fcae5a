//! A network trained on a data set of one's own: whatever can name its classes and give an image
//! for each number. Files, a data base, a camera or, as here, a function.

use limbeck::data::{Annotation, DataError, Found, Image, OpenOptions, Source};
use limbeck::methods::BASELINE;
use limbeck::train::experiment::{Stock, run};
use limbeck::train::{observer::Silent, recipe::Recipe};

/// Stripes that lie or stand, 16 pixels square.
#[derive(Debug)]
struct Stripes(Vec<String>);

impl Source for Stripes {
    fn classes(&self) -> &[String] {
        &self.0
    }

    fn len(&self) -> usize {
        240
    }

    fn annotation(&self, index: usize) -> Result<Annotation, DataError> {
        Ok(Annotation::Class(index % 2))
    }

    fn image(&self, index: usize) -> Result<Image, DataError> {
        let mut image = Image::filled(16, 16, 3, 60);
        for at in 0..256 {
            let (x, y) = (at % 16, at / 16);
            let along = if index.is_multiple_of(2) { y } else { x };
            if (along + index / 2) % 4 < 2 {
                image.pixel_mut(x, y).fill(200 - (index % 50) as u8);
            }
        }
        Ok(image)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let stripes = Stripes(vec!["lying".to_owned(), "standing".to_owned()]);
    let data = Found::whole("stripes", stripes).split(&OpenOptions::default())?;
    let mut recipe = Recipe::default();
    recipe.student.model = "resnet8".to_owned();
    recipe.method.name = BASELINE.to_owned();
    (recipe.train.epochs, recipe.data.batch) = (2, 16);
    let out = tempfile::tempdir()?;
    let mut stock = Stock::new().with_data(data);
    let results = run(recipe, &mut stock, &out.path().join("run"), &mut Silent)?;
    println!(
        "{:.1} % right on the test part",
        results.students[0].test.score()
    );
    Ok(())
}

#[test]
fn it_runs() {
    main().unwrap();
}
