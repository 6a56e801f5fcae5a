//! How much memory a contrast with many negatives needs. A test binary of its own: it counts all
//! that the process allocates.

#![allow(clippy::unwrap_used, reason = "all of this crate is tests")]

use std::collections::BTreeMap;

use burn::tensor::{DType, Device, Distribution, Int, Tensor, TensorData};
use limbeck_methods::{
    Classification, Probe, Progress, Step, Supervision, Target, Term, TrainingPart, build, find,
};
use limbeck_nn::{Feature, Mode, Outputs, Pass, Tap, TapKind, Taps};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

const BATCH: usize = 64;
const CLASSES: usize = 100;
const IMAGES: usize = 50_000;
const WIDTH: usize = 256;

fn probe(device: &Device) -> Probe {
    let taps = || {
        [("pooled", WIDTH), ("logits", CLASSES)].map(|(name, width)| Tap {
            name: name.to_owned(),
            kind: TapKind::Vector(width),
        })
    };
    Probe {
        student: taps().to_vec(),
        teacher: Some(taps().to_vec()),
        classes: CLASSES,
        batch: BATCH,
        pairs: None,
        seed: 0,
        device: device.clone(),
        dtype: DType::F32,
        training: TrainingPart::labelled((0..IMAGES).map(|i| (i % CLASSES) as i64).collect()),
        teacher_classifier: None,
        teacher_network: None,
    }
}

fn outputs(device: &Device, tracked: bool) -> Outputs {
    let features = Tensor::<2>::random([BATCH, WIDTH], Distribution::Default, device);
    let features = match tracked {
        true => features.autodiff().require_grad(),
        false => features,
    };
    Outputs {
        prediction: Feature::Vector(Tensor::zeros([BATCH, CLASSES], device)),
        features: [("pooled".to_owned(), Feature::Vector(features))].into(),
    }
}

#[test]
fn a_step_with_sixteen_thousand_negatives_stays_below_64_mebibytes_beyond_the_bank() {
    let device = Device::flex();
    let defaults = (find("crd").unwrap().defaults)();
    assert_eq!(defaults["negatives"], 16_384);
    assert_eq!(defaults["dimensions"], 128);
    let mut method = build("crd", &BTreeMap::new(), &probe(&device)).unwrap();
    let positions: Vec<usize> = (0..BATCH).map(|i| 777 * i).collect();
    let labels: Vec<i64> = positions.iter().map(|p| (p % CLASSES) as i64).collect();
    let labels = Tensor::<1, Int>::from_data(TensorData::new(labels, [BATCH]), &device);
    let target = Target::labels(labels);
    let (student, teacher) = (outputs(&device, true), outputs(&device, false));
    let mut step = |step| {
        let tracked = method.store().tracked();
        let mut pass = Pass::new(&tracked, Mode::Train, Taps::none(), 0);
        let progress = Progress {
            epoch: 0,
            epochs: 1,
            step,
            steps: 3,
        };
        let batch = Step {
            student: &student,
            teacher: Some(&teacher),
            supervision: Supervision {
                task: &Classification::PLAIN,
                target: &target,
            },
            indices: &positions,
            progress,
        };
        let Term { value, .. } = method.terms(&batch, &mut pass).unwrap().remove(0);
        let gradients = tracked.gradients(&mut value.backward());
        assert_eq!(gradients.iter().flatten().count(), 4);
    };
    // The first step also sets the normalisers, on top of what threads keep for themselves.
    for i in 0..3 {
        let before = ALLOCATOR.current_usage_as_mb();
        ALLOCATOR.reset_peak_usage();
        let started = std::time::Instant::now();
        step(i);
        let peak = ALLOCATOR.peak_usage_as_mb() - before;
        println!("step {i}: {peak:.1} MB, {:?}", started.elapsed());
        assert!(peak < 64.0, "{peak} MB");
    }
}
