//! What momentum contrast and instance discrimination promise.

use burn::tensor::Tensor;
use limbeck_data::Stream;

use super::{
    COLLAPSED, KEY, KEY_HEAD, Memory, Moco, MocoConfig, Objective,
    groups::{Shuffled, group_ranges},
    head::{spread, unit},
    queue::KeyQueue,
    queue_length,
};
use crate::{
    Cast, Procedure, Progress, STUDENT, TrainingPart,
    rehearsal::{BATCH, cast, learners, play, total, trained},
    testing::{assert_close, gradient, leaf, network, number, numbers, probe, random, tensor},
};

const IMAGES: usize = 40;

fn method(config: MocoConfig, cast: &mut Cast) -> Moco {
    let mut probe = probe(&[], &[]);
    probe.training = TrainingPart::unlabelled(IMAGES);
    Moco::new(config, &probe, cast).unwrap()
}

fn instdisc() -> MocoConfig {
    MocoConfig {
        objective: Objective::Instdisc,
        negatives: 6,
        ..MocoConfig::default()
    }
}

fn queue(method: &Moco) -> &KeyQueue {
    match &method.memory {
        Memory::Queue(queue) => queue,
        Memory::Instances(_) => panic!("it has no queue"),
    }
}

#[test]
fn the_loss_is_log_of_one_and_the_others_and_keys_get_no_gradient() {
    let queries = leaf(unit(random("q", [2, 3])));
    let keys = leaf(unit(random("k", [2, 3])));
    let rows = unit(random("n", [5, 3]));
    let found = KeyQueue::of(rows.clone(), 0).contrast(queries.clone(), &keys, 0.2);
    let (q, k, n) = (numbers(&queries), numbers(&keys), numbers(&rows));
    let product = |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
    let losses = (0..2).map(|image| {
        let span = image * 3..image * 3 + 3;
        let own = product(&q[span.clone()], &k[span.clone()]);
        let others = n
            .chunks(3)
            .map(|n| ((product(&q[span.clone()], n) - own) / 0.2).exp());
        (1.0 + others.sum::<f64>()).ln()
    });
    let expected = losses.sum::<f64>() / 2.0;
    assert_close(&[number(&found.loss.clone().inner())], &[expected]);
    let gradients = found.loss.backward();
    assert!(gradient(&queries, &gradients).is_some());
    assert!(gradient(&keys, &gradients).is_none());
}

#[test]
fn accuracy_counts_queries_that_are_nearest_to_their_own_key() {
    let queue = KeyQueue::of(tensor(vec![0.0, 1.0, -1.0, 0.0], [2, 2]), 0);
    let queries = tensor(vec![1.0, 0.0, 0.0, 1.0], [2, 2]);
    let keys = tensor(vec![1.0, 0.0, 0.6, 0.8], [2, 2]);
    let found = queue.contrast(queries, &keys, 0.5);
    assert_close(&[number(&found.accuracy)], &[0.5]);
}

#[test]
fn the_oldest_keys_make_room_whatever_the_batch() {
    let like = random("like", [1]);
    let mut queue = KeyQueue::drawn(1, &like, 6, 2);
    let old = numbers(queue.parts().0);
    let keys = unit(random("keys", [10, 2]));
    let new = numbers(&keys);
    queue.push(keys.clone().slice([0..4, 0..2]));
    assert_eq!(queue.parts().1, 4);
    assert_eq!(numbers(queue.parts().0)[..8], new[..8]);
    assert_eq!(numbers(queue.parts().0)[8..], old[8..]);
    // A batch that reaches beyond the end goes on at the beginning.
    queue.push(keys.slice([4..8, 0..2]));
    assert_eq!(queue.parts().1, 2);
    let found = numbers(queue.parts().0);
    assert_eq!(found[8..], new[8..12]);
    assert_eq!(found[..4], new[12..16]);
    assert_eq!(found[4..8], new[4..8]);
}

#[test]
fn a_queue_comes_back_as_it_was_and_one_of_other_lengths_is_brought_to_one() {
    let like = random("like", [1]);
    let mut queue = KeyQueue::drawn(1, &like, 6, 3);
    queue.push(unit(random("keys", [4, 3])));
    let mut other = KeyQueue::drawn(2, &like, 6, 3);
    other.load_state(queue.state()).unwrap();
    assert_eq!(numbers(other.parts().0), numbers(queue.parts().0));
    assert_eq!(other.parts().1, 4);

    let mut state = queue.state();
    if let Some((_, rows)) = state.get_mut("queue") {
        *rows = rows.clone().mul_scalar(3.0);
    }
    other.load_state(state).unwrap();
    assert_close(&numbers(other.parts().0), &numbers(queue.parts().0));

    let shorter = KeyQueue::drawn(1, &like, 5, 3).state();
    assert!(other.load_state(shorter).unwrap_err().contains("[5, 3]"));
    let mut state = queue.state();
    state.remove("queue_ptr");
    assert!(other.load_state(state).unwrap_err().contains("queue_ptr"));
}

#[test]
fn student_and_head_learn_and_the_key_encoder_follows_them() {
    let mut cast = cast();
    let mut method = method(MocoConfig::default(), &mut cast);
    let (terms, arrived) = learners(&mut method, &cast);
    assert_eq!(terms, ["contrast", "accuracy"]);
    for (member, count) in arrived {
        let expected = match member.as_str() {
            "head" => 2,
            // The last linear map of the rehearsal's classifier is what is compared.
            STUDENT => trained(&cast, STUDENT),
            other => panic!("{other} learns"),
        };
        assert_eq!(count, expected, "{member}");
    }
    let progress = Progress {
        epoch: 0,
        epochs: 1,
        step: 0,
        steps: 1,
    };
    let before = cast.store(KEY).unwrap().clone();
    let id = before.ids().next().unwrap();
    let shifted = cast.store(STUDENT).unwrap().entry(id).value.clone() + 1.0;
    cast.store_mut(STUDENT).unwrap().set(id, shifted);
    for follower in method.followers(0, progress) {
        assert_eq!(follower.momentum, 0.999);
        cast.follow(&follower).unwrap();
    }
    let moved = cast.store(KEY).unwrap().entry(id).value.clone() - before.entry(id).value.clone();
    let moved = numbers(&moved);
    assert!(
        moved.iter().all(|by| (by - 0.001).abs() < 1e-9),
        "{moved:?}"
    );
    let head = |member| numbers(&cast.store(member).unwrap().entries()[0].value);
    assert_close(&head(KEY_HEAD), &head("head"));
}

#[test]
fn a_key_encoder_of_momentum_one_never_moves() {
    let mut cast = cast();
    let method = method(
        MocoConfig {
            momentum: 1.0,
            ..MocoConfig::default()
        },
        &mut cast,
    );
    let id = cast.store(KEY).unwrap().ids().next().unwrap();
    let before = numbers(&cast.store(KEY).unwrap().entry(id).value);
    let shifted = cast.store(STUDENT).unwrap().entry(id).value.clone() + 1.0;
    cast.store_mut(STUDENT).unwrap().set(id, shifted);
    let progress = Progress {
        epoch: 0,
        epochs: 1,
        step: 0,
        steps: 1,
    };
    for follower in method.followers(0, progress) {
        cast.follow(&follower).unwrap();
    }
    assert_eq!(numbers(&cast.store(KEY).unwrap().entry(id).value), before);
}

#[test]
fn a_step_leaves_its_keys_in_the_queue_in_the_order_of_the_images() {
    for groups in [1, 2] {
        let mut cast = cast();
        let config = MocoConfig {
            groups,
            ..MocoConfig::default()
        };
        let mut method = method(config, &mut cast);
        assert_eq!(queue(&method).parts().0.dims(), [20, 128]);
        let before = numbers(queue(&method).parts().0);
        play(&mut method, &cast, 0).unwrap();
        let (rows, next) = queue(&method).parts();
        assert_eq!(next, BATCH);
        let after = numbers(rows);
        assert_eq!(after[BATCH * 128..], before[BATCH * 128..]);
        let lengths = rows.clone().square().sum_dim(1).sqrt();
        assert_close(&numbers(&lengths), &[1.0; 20]);
    }
}

#[test]
fn each_group_is_normalised_on_its_own_and_networks_without_batch_norms_make_one_pass() {
    let with = |groups| {
        let mut cast = cast();
        let config = MocoConfig {
            groups,
            ..MocoConfig::default()
        };
        let mut method = method(config, &mut cast);
        let (_, terms, _) = play(&mut method, &cast, 0).unwrap();
        (method.groups, number(&total(&terms).inner()))
    };
    assert_ne!(with(1).1, with(2).1);
    assert_eq!(with(2).0, 2);
    let mut transformer = Cast::new(network("vit_nano", 1));
    assert_eq!(method(MocoConfig::default(), &mut transformer).groups, 1);
}

#[test]
fn groups_hold_every_image_once_and_two_at_least() {
    for (count, groups, expected) in [(64, 4, 4), (10, 4, 4), (5, 4, 2), (2, 4, 1), (7, 1, 1)] {
        let ranges: Vec<_> = group_ranges(count, groups).collect();
        assert_eq!(ranges.len(), expected);
        assert!(ranges.iter().all(|range| range.len() >= 2));
        let all: Vec<usize> = ranges.into_iter().flatten().collect();
        assert_eq!(all, (0..count).collect::<Vec<_>>());
    }
    let images: Tensor<2> = random("images", [9, 3]);
    let shuffled = Shuffled::drawn(9, &mut Stream::of_seed(4));
    let there = shuffled.apply(images.clone());
    assert_ne!(numbers(&there), numbers(&images));
    assert_eq!(numbers(&shuffled.undo(there)), numbers(&images));
}

#[test]
fn instance_discrimination_has_one_view_and_remembers_the_batch() {
    let mut cast = cast();
    let mut method = method(instdisc(), &mut cast);
    assert!(cast.network(KEY).is_err());
    let stage = method.stages(3).remove(0);
    assert_eq!(stage.images.views, 1);
    let before = method.state();
    let (_, terms, _) = play(&mut method, &cast, 0).unwrap();
    assert_eq!(terms.len(), 1);
    let after = method.state();
    let [old, new] = [&before, &after].map(|state| numbers(&state["memory"].1));
    assert_ne!(old[..BATCH * 128], new[..BATCH * 128]);
    assert_eq!(old[BATCH * 128..], new[BATCH * 128..]);
    assert!(after.contains_key("memory.log_z"));
    let mut other = self::method(instdisc(), &mut self::cast());
    other.load_state(after.clone()).unwrap();
    assert_eq!(numbers(&other.state()["memory"].1), new);
}

#[test]
fn queries_that_are_all_alike_are_told_once() {
    let mut cast = cast();
    let mut method = method(MocoConfig::default(), &mut cast);
    play(&mut method, &cast, 0).unwrap();
    assert!(method.warnings().is_empty());
    method.spread = COLLAPSED / 2.0;
    let warnings = method.warnings();
    assert!(warnings[0].contains("all alike"), "{warnings:?}");
    assert!(method.warnings().is_empty());
    assert!(spread(&tensor(vec![0.6, 0.8, 0.6, 0.8], [2, 2])) < 1e-12);
    let opposite = spread(&tensor(
        vec![1.0, 0.0, -1.0, 0.0, 0.0, 1.0, 0.0, -1.0],
        [4, 2],
    ));
    assert_close(&[opposite], &[1.0]);
}

#[test]
fn a_queue_is_half_of_the_images_unless_one_is_asked_for() {
    let length = |asked, batch, images| queue_length("moco", asked, batch, images);
    assert_eq!(length(None, 64, 45_000).unwrap(), 22_464);
    assert_eq!(length(None, 256, 1_281_167).unwrap(), 65_536);
    assert_eq!(length(None, 64, 70).unwrap(), 64);
    assert_eq!(length(Some(256), 64, 300).unwrap(), 256);
    let refused = |asked, images| length(Some(asked), 64, images).unwrap_err().to_string();
    for asked in [0, 100] {
        assert!(refused(asked, 300).contains("a multiple of 64, the images of a batch"));
    }
    assert_eq!(
        refused(640, 300),
        "method `moco`: `queue` must be at most 300, the number of training images, found 640"
    );
}

#[test]
fn settings_out_of_range_and_single_images_are_refused_by_name() {
    let refused = |change: fn(&mut MocoConfig)| {
        let mut config = MocoConfig::default();
        change(&mut config);
        let mut probe = probe(&[], &[]);
        probe.training = TrainingPart::unlabelled(IMAGES);
        Moco::new(config, &probe, &mut cast())
            .unwrap_err()
            .to_string()
    };
    assert!(refused(|c| c.temperature = 0.0).contains("`temperature` must be a number above 0"));
    assert!(refused(|c| c.momentum = 1.1).contains("`momentum` must be a number from 0 to 1"));
    assert!(refused(|c| c.groups = 0).contains("`groups` must be at least 1"));
    let mut probe = probe(&[], &[]);
    probe.batch = 1;
    let error = Moco::new(
        MocoConfig::default(),
        &probe,
        &mut Cast::new(network("resnet8", 1)),
    );
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("set data.batch to 2")
    );
}
