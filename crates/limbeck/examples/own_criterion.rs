//! A criterion of one's own: what of student and teacher it reads, and the terms that it adds to
//! the loss. Here the logits are pulled together, by the mean of their squared differences.

use limbeck::methods::{Criterion, MethodError, Needs, OwnCriterion, Step, Term};
use limbeck::nn::Pass;
use limbeck::train::experiment::{Stock, run};
use limbeck::train::{observer::Silent, recipe::Recipe};

#[derive(Debug)]
struct EqualLogits {
    weight: f64,
}

impl Criterion for EqualLogits {
    fn needs(&self) -> Needs {
        Needs::default()
    }

    fn terms(&mut self, step: &Step<'_>, _pass: &mut Pass<'_>) -> Result<Vec<Term>, MethodError> {
        let (student, teacher) = step.rows("equal-logits")?;
        let value = (student - teacher).square().mean();
        Ok(vec![Term::new("logits", value, self.weight)])
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let weight = 0.05;
    // The identity changes with what the criterion does: an older run is not gone on with then.
    let identity = format!("weight {weight}");
    let method = OwnCriterion::new("equal-logits", &identity, true, move |_probe, _builder| {
        Ok(Box::new(EqualLogits { weight }))
    });
    let mut recipe = Recipe::default();
    recipe.data.path = "shapes:200".to_owned();
    recipe.teacher.source = Some("resnet14".to_owned());
    recipe.student.model = "resnet8".to_owned();
    recipe.train.epochs = 1;
    let out = tempfile::tempdir()?;
    let mut stock = Stock::new().with_method(method);
    let results = run(recipe, &mut stock, &out.path().join("run"), &mut Silent)?;
    let epoch = &results.students[0].epochs[0];
    println!("terms of the first epoch: {:?}", epoch.terms);
    assert!(epoch.terms.contains_key("logits"));
    Ok(())
}

#[test]
fn it_runs() {
    main().unwrap();
}
