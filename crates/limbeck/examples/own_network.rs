//! A network of one's own: its operations in an `Architecture`, its numbers in the store. It is
//! trained with a teacher of the zoo, and the file that comes of it is read again.

use limbeck::burn::tensor::{Tensor, activation::relu};
use limbeck::nn::layer::{Conv2d, Conv2dConfig, Linear};
use limbeck::nn::{Architecture, Builder, Feature, InputShape, NnError, Pass, Taps};
use limbeck::train::experiment::{Stock, run};
use limbeck::train::{blueprint::Blueprint, model_source, observer::Silent, recipe::Recipe};

/// One convolution, the mean over positions, one linear map.
#[derive(Debug)]
struct Tiny {
    convolution: Conv2d,
    head: Linear,
}

fn build(at: &mut Builder<'_>, input: InputShape) -> Result<Box<dyn Architecture>, NnError> {
    let config = Conv2dConfig::new(input.channels, 16, 3);
    let convolution = Conv2d::new(at.sub("convolution"), config);
    let head = Linear::new(at.sub("head"), 16, input.classes);
    Ok(Box::new(Tiny { convolution, head }))
}

impl Architecture for Tiny {
    fn tap_names(&self) -> Vec<String> {
        vec!["stem".to_owned(), "pooled".to_owned()]
    }

    fn forward(&self, pass: &mut Pass<'_>, images: Tensor<4>) -> Feature {
        let map = relu(self.convolution.forward(pass, images));
        pass.tap_map("stem", &map);
        let pooled = map.mean_dim(3).mean_dim(2).flatten::<2>(1, 3);
        pass.tap("pooled", || Feature::Vector(pooled.clone()));
        Feature::Vector(self.head.forward(pass, pooled))
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let tiny = Blueprint::own("tiny", 32, "16 channels", build);
    let mut recipe = Recipe::default();
    recipe.data.path = "shapes:200".to_owned();
    recipe.teacher.source = Some("resnet8".to_owned());
    recipe.method.name = "kd".to_owned();
    recipe.train.epochs = 1;
    let out = tempfile::tempdir()?;
    let mut stock = Stock::new().with_student(tiny.clone());
    run(recipe, &mut stock, &out.path().join("run"), &mut Silent)?;

    let file = out.path().join("run/student/model.safetensors");
    let model = model_source::load_own(&file, &tiny)?;
    let image = Tensor::zeros([1, 3, 32, 32], &Default::default());
    println!("{}", model.network.evaluate(image, &Taps::none()).logits());
    Ok(())
}

#[test]
fn it_runs() {
    main().unwrap();
}
