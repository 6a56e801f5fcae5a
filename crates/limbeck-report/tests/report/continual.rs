//! Pages of classes that are learnt in steps.

use limbeck_report::{ContinualResults, FINE_TUNING, JOINT, render_continual};

use crate::checked;

/// Background and eight classes, five in the first step and one or two in each further one, under so
/// many seeds.
fn steps(seeds: u64, baselines: bool) -> ContinualResults {
    let names = [
        "background",
        "road <asphalt>",
        "building",
        "sky",
        "car",
        "tree",
        "fence",
        "sign",
        "bicyclist",
    ];
    let mut results = ContinualResults {
        run: "sats-segformer_b0-steps".to_owned(),
        data: "town (images and masks)".to_owned(),
        student: "segformer_b0".to_owned(),
        command: "limbeck distill --recipe runs/steps/recipe.toml".to_owned(),
        recipe: "[task]\ncontinual = \"4-1\"".to_owned(),
        split: "4-1".to_owned(),
        setting: "overlapped".to_owned(),
        method: "sats".to_owned(),
        classes: names.map(str::to_owned).to_vec(),
        begins: vec![0, 5, 6, 7, 8, 9],
        sequences: Vec::new(),
    };
    let classes = |step: usize, fade: f64, seed: u64| -> Vec<Option<f64>> {
        let end = results_end(step);
        let iou = |class: usize| {
            let learnt = class.saturating_sub(4);
            let age = step.saturating_sub(learnt) as f64;
            let start = 88.0 - 4.0 * class as f64 + 1.5 * seed as f64;
            (class != 7).then(|| {
                if class == 0 {
                    start
                } else {
                    (start - fade * age).max(0.0)
                }
            })
        };
        (0..end).map(iou).collect()
    };
    for seed in 0..seeds {
        for (name, fade) in [("sats", 4.0), (FINE_TUNING, 22.0)] {
            for step in 0..5 {
                if name == "sats" || baselines {
                    results.add(name, seed, step, &classes(step, fade, seed));
                }
            }
        }
        if baselines {
            results.add(JOINT, seed, 4, &classes(4, 0.5, seed));
        }
    }
    results
}

/// Classes known after a step.
fn results_end(step: usize) -> usize {
    5 + step
}

#[test]
fn steps_show_every_way_of_learning_after_each_step() {
    let page = checked("steps", render_continual(&steps(1, true)));
    for words in [
        "After the last step sats reaches",
        "points more than fine-tuning",
        "5 of 9 classes are learnt in the first step",
        "1 in each of 4 further steps (4-1, overlapped)",
        "Joint training, which sees all classes and images at once",
        "One seed",
        "road &lt;asphalt&gt;",
        "all alike",
        "id=\"classes\"",
        "<span>--recipe</span>",
    ] {
        assert!(page.contains(words), "{words} is missing");
    }
    assert_eq!(page.matches("<figure>").count(), 4);
    // One row for the common step, two for the middle ones, three for the last.
    assert_eq!(page.matches("rowspan=").count(), 5);
    assert_eq!(page.matches("rowspan=\"3\"").count(), 1);
}

#[test]
fn several_seeds_have_an_interval_and_their_range() {
    let page = checked("steps-seeds", render_continual(&steps(3, true)));
    assert!(page.contains("95 % interval") && page.contains("lowest and highest seed"));
    assert!(page.contains("<small>[") && !page.contains("One seed"));
}

#[test]
fn steps_alone_and_steps_that_are_not_done_say_so() {
    let alone = render_continual(&steps(1, false));
    assert!(alone.contains("--baseline adds fine-tuning") && !alone.contains("than fine-tuning"));
    let mut begun = steps(1, false);
    begun.sequences[0].steps.truncate(2);
    let page = checked("steps-begun", render_continual(&begun));
    assert!(page.contains("2 of 5 steps are done") && page.contains("limbeck resume"));
    begun.sequences.clear();
    let page = checked("steps-none", render_continual(&begun));
    assert!(page.contains("No step is done") && !page.contains("id=\"steps\""));
}
