//! A burn `Module` as student and as teacher. Its parameters are visited once into the store, filled
//! back for each pass, and its running statistics collected; the module itself stays as it is.

use limbeck::burn::nn::conv::{Conv2d, Conv2dConfig};
use limbeck::burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig};
use limbeck::burn::{self, module::Module, tensor::Tensor, tensor::activation::relu};
use limbeck::nn::{Feature, ImageModule, Pass, module_architecture};
use limbeck::train::experiment::{OwnTeacher, Stock, run};
use limbeck::train::{blueprint::Blueprint, observer::Silent, recipe::Recipe};

#[derive(Module, Debug)]
struct Small {
    convolution: Conv2d,
    norm: BatchNorm,
    head: Linear,
}

impl ImageModule for Small {
    fn forward(&self, _pass: &mut Pass<'_>, images: Tensor<4>) -> Feature {
        let map = relu(self.norm.forward(self.convolution.forward(images)));
        Feature::Vector(self.head.forward(map.mean_dim(3).mean_dim(2).flatten(1, 3)))
    }
}

/// The network with `width` channels, drawn anew from each seed of a run.
fn small(name: &str, width: usize) -> Blueprint {
    let identity = format!("{width} channels");
    Blueprint::own(name, 32, &identity, move |builder, input| {
        let device = builder.device();
        device.seed(builder.seed());
        let module = Small {
            convolution: Conv2dConfig::new([input.channels, width], [3, 3]).init(&device),
            norm: BatchNormConfig::new(width).init(&device),
            head: LinearConfig::new(width, input.classes).init(&device),
        };
        Ok(module_architecture(builder, module))
    })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut recipe = Recipe::default();
    recipe.data.path = "shapes:200".to_owned();
    recipe.method.name = "kd".to_owned();
    recipe.train.epochs = 1;
    let teacher = OwnTeacher::Untrained(small("wide", 32));
    let student = small("narrow", 8);
    let mut stock = Stock::new().with_student(student).with_teacher(teacher);
    let out = tempfile::tempdir()?;
    let results = run(recipe, &mut stock, &out.path().join("run"), &mut Silent)?;
    println!("{} parameters have learnt", results.student.params);
    Ok(())
}

#[test]
fn it_runs() {
    main().unwrap();
}
