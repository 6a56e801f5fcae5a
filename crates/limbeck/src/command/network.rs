//! A network from outside, for `inspect` and `models`.

use std::io::Write;

use burn::tensor::{DType, Device};
use limbeck::nn::model::NamedModel;
use limbeck::nn::quantise::BitCost;
use limbeck::nn::{InputShape, Network};
use limbeck::report::count;
use serde_json::{Value, json};

/// The model with the input that its published numbers are for.
pub fn published(model: &NamedModel) -> anyhow::Result<Network> {
    Ok(Network::new(
        &model.name,
        model.published_input(),
        0,
        &Device::flex(),
        DType::F32,
        |builder, input| model.build(builder, input),
    )?)
}

/// Parameters, cost and taps of `network`.
pub fn print_network(out: &mut impl Write, network: &Network, json: bool) -> anyhow::Result<()> {
    if json {
        writeln!(out, "{:#}", describe(network))?;
        return Ok(());
    }
    let InputShape {
        channels,
        height,
        width,
        classes,
    } = network.input();
    let cost = network.cost();
    writeln!(out, "{}", network.name())?;
    if let Some(task) = network.task() {
        writeln!(out, "  task         {task}")?;
    }
    writeln!(
        out,
        "  input        {channels}×{height}×{width}, {classes} classes"
    )?;
    writeln!(
        out,
        "  parameters   {}",
        count(network.store.trained_count() as u64)
    )?;
    writeln!(out, "  MACs         {}", count(cost.macs))?;
    if let Some(plan) = network.quantisation() {
        let cost = BitCost::of(network);
        writeln!(out, "  weights      {plan} ({})", plan.quantiser.name())?;
        writeln!(
            out,
            "  bytes        {} of all numbers, weights as codes",
            count(cost.bytes)
        )?;
        writeln!(out, "  bit operations {}", count(cost.bit_operations))?;
    }
    writeln!(
        out,
        "  activations  {} numbers ({:.1} MB in f32)",
        count(cost.activations),
        cost.activations as f64 * 4.0 / 1e6
    )?;
    for (stride, sizes) in network.anchor_sizes().unwrap_or_default() {
        let sizes: Vec<String> = sizes
            .iter()
            .map(|[width, height]| format!("{width}×{height}"))
            .collect();
        writeln!(
            out,
            "  anchors      {} pixels, one cell in {stride}×{stride}",
            sizes.join(", ")
        )?;
    }
    writeln!(out, "  taps")?;
    for tap in network.taps() {
        writeln!(out, "    {:<16} {}", tap.name, tap.kind)?;
    }
    Ok(())
}

/// The same for machines.
pub fn describe(network: &Network) -> Value {
    let input = network.input();
    let cost = network.cost();
    let taps: Vec<Value> = network
        .taps()
        .iter()
        .map(|tap| json!({ "name": tap.name, "shape": tap.kind.to_string() }))
        .collect();
    let anchors: Option<Vec<Value>> = network.anchor_sizes().map(|levels| {
        let level = |(stride, sizes)| json!({ "stride": stride, "sizes": sizes });
        levels.into_iter().map(level).collect()
    });
    let mut description = json!({
        "model": network.name(),
        "task": network.task().map(|task| task.to_string()),
        "input": [input.channels, input.height, input.width],
        "classes": input.classes,
        "params": network.store.trained_count(),
        "macs": cost.macs,
        "activations": cost.activations,
        "taps": taps,
    });
    if let Some(anchors) = anchors {
        description["anchors"] = anchors.into();
    }
    if let Some(plan) = network.quantisation() {
        let cost = BitCost::of(network);
        let layers: Vec<Value> = plan
            .layers
            .iter()
            .map(|layer| json!([layer.name, layer.weight.count(), layer.activation.count()]))
            .collect();
        description["few_bits"] = json!({
            "bits": plan.to_string(),
            "quantiser": plan.quantiser.name(),
            "bytes": cost.bytes,
            "bit_operations": cost.bit_operations,
            "layers": layers,
        });
    }
    description
}
