//! `limbeck bench conv`.

use limbeck::train::bench::{Convolution, ConvolutionTimes, Machine, measure_convolutions};
use serde_json::{Map, Value, json};

use super::{
    MOST_IMAGES, MOST_RUNS, check,
    report::{Speed, StepBytes, insert, print_json, print_table},
    threads,
};
use crate::arguments::ConvolutionArguments;
use crate::command::inspect::parse_sizes;
use crate::exit::Usage;

/// Measures the usual convolutions, or the one asked for.
pub fn run(arguments: &ConvolutionArguments) -> anyhow::Result<()> {
    let runs = arguments.measure.runs;
    check("--runs", runs, MOST_RUNS)?;
    let convolutions = convolutions(arguments)?;
    for convolution in &convolutions {
        convolution.check()?;
    }
    threads::set(arguments.measure.threads)?;
    let machine = Machine::measured();
    let times = threads::compute(|| measure_convolutions(&convolutions, runs))?;
    let measured = convolutions.iter().zip(times);
    if arguments.measure.json {
        let list: Vec<Value> = measured
            .map(|(convolution, times)| describe(convolution, times, &machine))
            .collect();
        let keys = Map::from_iter([("convolutions".to_owned(), Value::Array(list))]);
        return print_json(keys, runs, &machine);
    }
    let rows: Vec<(String, Speed)> = measured
        .flat_map(|(convolution, times)| {
            let name = convolution.name();
            parts(convolution, times).map(|(part, speed)| {
                let part = part.replace('_', " ");
                (format!("{name:32}  {part:15}"), speed)
            })
        })
        .collect();
    let [batch, ..] = convolutions[0].input;
    print_table(
        &format!("convolutions, batch {batch}"),
        runs,
        &machine,
        &rows,
        StepBytes::default(),
    )
}

fn convolutions(arguments: &ConvolutionArguments) -> Result<Vec<Convolution>, Usage> {
    if let Some(shape) = &arguments.shape {
        let input: [usize; 4] = parse_sizes(shape).ok_or_else(|| {
            Usage(format!(
                "--shape must be images, channels, height and width, such as 64x32x32x32, found `{shape}`"
            ))
        })?;
        let kernel = arguments.kernel.unwrap_or(3);
        return Ok(vec![Convolution {
            input,
            outputs: arguments.outputs.unwrap_or(input[1]),
            kernel,
            stride: arguments.stride.unwrap_or(1),
            padding: arguments.padding.unwrap_or(kernel / 2),
            groups: arguments.groups.unwrap_or(1),
        }]);
    }
    let batch = arguments.batch.unwrap_or(64);
    check("--batch", batch, MOST_IMAGES)?;
    let mut convolutions = Convolution::usual(batch);
    let names: Vec<String> = convolutions.iter().map(Convolution::name).collect();
    if let Some(text) = &arguments.only {
        convolutions.retain(|convolution| convolution.name().contains(text));
        if convolutions.is_empty() {
            return Err(Usage(format!(
                "no usual convolution has `{text}` in its name; there are {}",
                names.join(", ")
            )));
        }
    }
    Ok(convolutions)
}

fn parts(convolution: &Convolution, times: ConvolutionTimes) -> [(&'static str, Speed); 3] {
    let flops = convolution.flops();
    [
        ("forward", times.forward_ms),
        ("input_gradient", times.input_gradient_ms),
        ("weight_gradient", times.weight_gradient_ms),
    ]
    .map(|(name, ms)| (name, Speed { ms, flops }))
}

fn describe(convolution: &Convolution, times: ConvolutionTimes, machine: &Machine) -> Value {
    let Convolution {
        input,
        outputs,
        kernel,
        stride,
        padding,
        groups,
    } = convolution;
    let mut keys = Map::from_iter(
        [
            ("name", json!(convolution.name())),
            ("input", json!(input)),
            ("outputs", json!(outputs)),
            ("kernel", json!(kernel)),
            ("stride", json!(stride)),
            ("padding", json!(padding)),
            ("groups", json!(groups)),
            ("flops", json!(convolution.flops())),
        ]
        .map(|(key, value)| (key.to_owned(), value)),
    );
    for (name, speed) in parts(convolution, times) {
        insert(Some(speed), &mut keys, name, machine);
    }
    Value::Object(keys)
}
