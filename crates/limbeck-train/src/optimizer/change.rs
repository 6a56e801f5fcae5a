//! What a procedure changes in the recipe's optimiser.

use limbeck_methods::{OptimizerChange, OptimizerKind};

use crate::recipe::{OptimizerName, OptimizerRecipe};

/// The recipe's settings with what `change` changes. The learning rate stays the recipe's: a
/// procedure gives its own step by step.
pub fn changed(recipe: &OptimizerRecipe, change: &OptimizerChange) -> OptimizerRecipe {
    let name = change.kind.map_or(recipe.name, |kind| match kind {
        OptimizerKind::Sgd => OptimizerName::Sgd,
        OptimizerKind::AdamW => OptimizerName::AdamW,
    });
    let base = match name == recipe.name {
        true => recipe.clone(),
        false => OptimizerRecipe {
            learning_rate: recipe.learning_rate,
            ..OptimizerRecipe::of(name)
        },
    };
    OptimizerRecipe {
        momentum: change.momentum.unwrap_or(base.momentum),
        nesterov: change.nesterov.unwrap_or(base.nesterov),
        weight_decay: change.weight_decay.unwrap_or(base.weight_decay),
        beta1: change.beta1.unwrap_or(base.beta1),
        head_factor: change.head_factor.unwrap_or(base.head_factor),
        ..base
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_named_stays_as_it_is() {
        let recipe = OptimizerRecipe {
            decay_norms: false,
            nesterov: true,
            ..OptimizerRecipe::default()
        };
        assert_eq!(changed(&recipe, &OptimizerChange::default()), recipe);
        let change = OptimizerChange {
            weight_decay: Some(0.25),
            nesterov: Some(false),
            ..OptimizerChange::default()
        };
        let found = changed(&recipe, &change);
        assert_eq!((found.weight_decay, found.nesterov), (0.25, false));
        assert_eq!((found.momentum, found.decay_norms), (0.9, false));
    }

    #[test]
    fn another_rule_starts_from_its_own_defaults() {
        let change = OptimizerChange {
            kind: Some(OptimizerKind::AdamW),
            ..OptimizerChange::default()
        };
        let found = changed(&OptimizerRecipe::default(), &change);
        assert_eq!(found.name, OptimizerName::AdamW);
        assert_eq!(found.weight_decay, 0.01);
    }
}
