//! Recipes of all kinds, written and read, and texts that are none.

use proptest::prelude::*;

use crate::recipe::*;

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
