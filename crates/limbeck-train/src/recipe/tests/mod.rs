//! How recipes are read, put together and refused.

mod layering;
mod refusals;
mod round_trip;

use super::*;

fn message(text: &str) -> String {
    Recipe::parse(text, "recipe.toml").unwrap_err().to_string()
}

fn layered(text: &str, assignments: &[&str]) -> Result<Recipe, RecipeError> {
    let mut layers = Layers::new();
    layers.parse(text, "recipe.toml")?;
    for assignment in assignments {
        layers.set(assignment)?;
    }
    layers.resolve()
}
