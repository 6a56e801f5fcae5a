//! `limbeck models`: the zoo.

use std::io::{Write, stdout};

use limbeck::nn::TaskKind;
use limbeck::nn::model::{MODELS, find};
use serde_json::{Value, json};

use super::network::{print_network, published};
use crate::arguments::NamedArguments;

/// Prints the list, or the facts of one model.
pub fn run(arguments: &NamedArguments) -> anyhow::Result<()> {
    let mut out = stdout().lock();
    match &arguments.name {
        Some(name) => {
            let network = published(&find(name)?)?;
            print_network(&mut out, &network, arguments.json)?;
        }
        None if arguments.json => {
            let all: Vec<Value> = MODELS
                .iter()
                .flat_map(|family| family.iter())
                .map(|entry| {
                    json!({
                        "name": entry.name,
                        "family": entry.family,
                        "task": entry.task.to_string(),
                        "size": entry.size,
                        "classes": entry.classes,
                    })
                })
                .collect();
            writeln!(out, "{:#}", Value::Array(all))?;
        }
        None => {
            for task in [
                TaskKind::Classification,
                TaskKind::Segmentation,
                TaskKind::Detection,
                TaskKind::Pretraining,
            ] {
                let families = MODELS.iter().filter_map(|family| {
                    let first = family.first()?;
                    (first.task == task).then_some((first, family))
                });
                for (place, (first, family)) in families.enumerate() {
                    if place == 0 {
                        writeln!(out, "{}", heading(task))?;
                    }
                    let names: Vec<&str> = family.iter().map(|entry| entry.name).collect();
                    writeln!(out, "  {} ({}×{})", first.family, first.size, first.size)?;
                    for row in names.chunks(if task == TaskKind::Classification {
                        6
                    } else {
                        3
                    }) {
                        writeln!(out, "    {}", row.join("  "))?;
                    }
                }
            }
            writeln!(
                out,
                "\nModels for segmentation come in any width, such as pspnet_resnet18_x0.25, and take images \
                 of any size;\ndetectors come in any width and depth, such as yolov5n_d2_x0.5 or, with a classifier, \
                 yolov5n_cls_x0.5, and take sides\nthat are multiples of their largest stride. Facts of one: limbeck models NAME"
            )?;
        }
    }
    Ok(())
}

fn heading(task: TaskKind) -> &'static str {
    match task {
        TaskKind::Classification => "classification: a class for each image",
        TaskKind::Segmentation => "\nsegmentation: a class for each pixel",
        TaskKind::Detection => "\ndetection: boxes around objects, with their classes",
        TaskKind::Pretraining => "\npre-training: an embedding for each image",
    }
}
