//! A student of few bits: where it starts, and how many each of its layers has.

use limbeck_nn::Network;
use limbeck_nn::quantise::{BitCost, Bits, QuantisationPlan, THRESHOLD};

use super::Plan;
use crate::{
    TrainError,
    recipe::{QuantiseRecipe, StudentRecipe},
};

/// The teacher's network where the student is to have few bits, is the same network and nothing else is
/// said of where it starts: its weights in full precision are what training in few bits goes on from.
pub(super) fn teacher_to_start_from<'a>(plan: &'a Plan, student: &Network) -> Option<&'a Network> {
    let recipe = &plan.recipe.student;
    if recipe.quantise.is_none() || recipe.weights.is_some() || recipe.backbone.is_some() {
        return None;
    }
    let teacher = plan.teacher.as_ref().filter(|it| it.is_trained())?;
    let network = teacher.network();
    let same = network.name() == student.name()
        && network.input() == student.input()
        && network.quantisation().is_none();
    // Of a cache there are shapes alone.
    (same && !plan.learns_from_cache()).then_some(network)
}

/// Brings `network` to the bits that the recipe says; `trained` is whether it starts from trained weights.
/// Gives what the user should know, a line each.
///
/// # Errors
/// A layer that cannot be quantised so; bits that are to be read off weights that nothing has trained.
pub(super) fn quantise(
    recipe: &StudentRecipe,
    network: &mut Network,
    trained: bool,
) -> Result<Vec<String>, TrainError> {
    let Some(quantise) = recipe.quantise else {
        return Ok(Vec::new());
    };
    let quantiser = recipe.quantiser.unwrap_or_default().into();
    let plan = match quantise {
        QuantiseRecipe::Bits(bits) => {
            QuantisationPlan::uniform(network, quantiser, Bits::new(bits)?)?
        }
        QuantiseRecipe::Hybrid if !trained => {
            return Err(TrainError::Setting(format!(
                "student.quantise = \"hybrid\" reads the bits of each layer off trained weights, and \
                 `{}` starts from none: name them with --weights, or take a trained teacher that is the \
                 same network",
                network.name()
            )));
        }
        QuantiseRecipe::Hybrid => {
            let threshold = recipe.hybrid_threshold.unwrap_or(THRESHOLD);
            QuantisationPlan::hybrid(network, quantiser, threshold)?
        }
    };
    let before = BitCost::of(network);
    network.quantise(&plan)?;
    let after = BitCost::of(network);
    Ok(vec![
        format!(
            "quantise: {plan} ({}), {} instead of {} bytes of numbers, {:.1} times fewer bit operations",
            quantiser.name(),
            after.bytes,
            before.bytes,
            before.bit_operations as f64 / after.bit_operations.max(1) as f64
        ),
        format!(
            "bits of weights on bits of activations: {}",
            by_layer(network, &plan)
        ),
    ])
}

/// `conv1 4 on 8; layer1.0.conv1 to layer3.2.conv2 4 on 4; fc 32`: layers in the order in which they run.
fn by_layer(network: &Network, plan: &QuantisationPlan) -> String {
    let mut runs: Vec<(String, String, String)> = Vec::new();
    for name in network.layer_names() {
        let bits = match plan.layer(&name) {
            Some(layer) => format!("{} on {}", layer.weight, layer.activation),
            None => Bits::FULL.to_string(),
        };
        let layer = name.strip_suffix(".weight").unwrap_or(&name).to_owned();
        match runs.last_mut() {
            Some((_, last, same)) if *same == bits => *last = layer,
            _ => runs.push((layer.clone(), layer, bits)),
        }
    }
    let runs = runs
        .into_iter()
        .map(|(first, last, bits)| match first == last {
            true => format!("{first} {bits}"),
            false => format!("{first} to {last} {bits}"),
        });
    runs.collect::<Vec<_>>().join("; ")
}
