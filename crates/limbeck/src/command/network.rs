//! A network from outside, for `inspect` and `models`.

use std::io::Write;

use burn::tensor::{DType, Device};
use limbeck::nn::model::NamedModel;
use limbeck::nn::{InputShape, Network};
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
    writeln!(
        out,
        "  input        {channels}×{height}×{width}, {classes} classes"
    )?;
    writeln!(
        out,
        "  parameters   {}",
        grouped(network.store.trained_count() as u64)
    )?;
    writeln!(out, "  MACs         {}", grouped(cost.macs))?;
    writeln!(
        out,
        "  activations  {} numbers ({:.1} MB in f32)",
        grouped(cost.activations),
        cost.activations as f64 * 4.0 / 1e6
    )?;
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
    json!({
        "model": network.name(),
        "input": [input.channels, input.height, input.width],
        "classes": input.classes,
        "params": network.store.trained_count(),
        "macs": cost.macs,
        "activations": cost.activations,
        "taps": taps,
    })
}

/// `1234567` as `1,234,567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_233_540), "1,233,540");
    }
}
