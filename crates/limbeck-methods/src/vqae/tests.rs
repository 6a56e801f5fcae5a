use burn::tensor::{Int, Tensor};
use limbeck_nn::Feature;

use super::{
    quantise::{nearest, quantise},
    *,
};
use crate::{
    Batch, HeldOut,
    rehearsal::{batch, headless, setting, total},
    testing::{assert_close, gradient, leaf, network, number, numbers, probe, random},
};

fn integers<const D: usize>(tensor: &Tensor<D, Int>) -> Vec<i64> {
    tensor.clone().try_into_vec_as().unwrap()
}

fn made(config: VqaeConfig) -> (Vqae, Cast) {
    let mut cast = Cast::new(headless("vq_autoencoder_f4_d6_k9", 1));
    let vqae = Vqae::new(config, &probe(&[], &[]), &mut cast).unwrap();
    (vqae, cast)
}

struct Some3;

impl HeldOut for Some3 {
    fn look(
        &self,
        look: &mut dyn FnMut(&Batch) -> Result<(), MethodError>,
    ) -> Result<(), MethodError> {
        look(&batch(1))
    }
}

#[test]
fn quantising_twice_changes_nothing_and_the_first_of_equal_codes_is_taken() {
    let latent = random("z", [2, 3, 4, 2]);
    let codes = random("codes", [5, 3]);
    // A code twice: only the first one is ever chosen.
    let codebook = Tensor::cat(vec![codes.clone(), codes.clone()], 0);
    let once = quantise(latent, codebook.clone());
    assert!(integers(&once.index).iter().all(|&index| index < 5));
    let twice = quantise(once.codes.clone(), codebook);
    assert_eq!(numbers(&twice.codes), numbers(&once.codes));
    assert_eq!(integers(&twice.index), integers(&once.index));
    assert_eq!(number(&twice.codebook_loss), 0.0);
    assert_eq!(number(&twice.commitment_loss), 0.0);
}

#[test]
fn the_nearest_code_is_found_by_its_distance() {
    let rows = random("rows", [40, 3]);
    let codebook = random("codes", [7, 3]);
    let (points, codes) = (numbers(&rows), numbers(&codebook));
    let expected = points.chunks(3).map(|point| {
        let distance = |code: &[f64]| -> f64 {
            let pairs = point.iter().zip(code);
            pairs.map(|(a, b)| (a - b) * (a - b)).sum()
        };
        let all: Vec<f64> = codes.chunks(3).map(distance).collect();
        (0..7).min_by(|&a, &b| all[a].total_cmp(&all[b])).unwrap() as i64
    });
    assert_eq!(
        integers(&nearest(rows, codebook)),
        expected.collect::<Vec<_>>()
    );
}

#[test]
fn gradients_of_the_decoder_reach_latents_as_they_are_and_codes_by_their_loss_alone() {
    let latent = leaf(random("z", [1, 3, 2, 2]));
    let codebook = leaf(random("codes", [4, 3]));
    let weight = random("w", [1, 3, 2, 2]);
    let found = quantise(latent.clone(), codebook.clone());
    let gradients = (found.straight_through * weight.clone()).sum().backward();
    assert_eq!(gradient(&latent, &gradients).unwrap(), numbers(&weight));
    assert!(gradient(&codebook, &gradients).is_none());
    let found = quantise(latent.clone(), codebook.clone());
    let gradients = found.codebook_loss.backward();
    assert!(gradient(&latent, &gradients).is_none());
    assert!(gradient(&codebook, &gradients).is_some());
}

#[test]
fn everything_learns_and_the_terms_are_those_of_the_paper() {
    let (mut vqae, cast) = made(VqaeConfig::default());
    let stage = vqae.stages(1).remove(0);
    let batch = batch(1);
    let mut scene = Scene::new(setting(&cast, &stage.acts[0], &batch, None));
    let terms = vqae.play(0, 0, &mut scene).unwrap();
    let played = scene.finish();
    let named: Vec<(&str, f64)> = terms.iter().map(|t| (t.name.as_str(), t.weight)).collect();
    let expected = [
        ("reconstruction", 1.0),
        ("codebook", 1.0),
        ("commitment", 0.25),
        ("codes", 0.0),
    ];
    assert_eq!(named, expected);
    let mut gradients = total(&terms).backward();
    for (member, store) in &played.tracked {
        let found = store.gradients(&mut gradients);
        for (entry, gradient) in store.entries().iter().zip(found) {
            assert!(gradient.is_some(), "{member}: {}", entry.name);
        }
    }
}

#[test]
fn codes_that_nothing_chooses_become_latents_and_the_others_stay() {
    let (mut vqae, mut cast) = made(VqaeConfig::default());
    let network = cast.network(STUDENT).unwrap().clone();
    let net = network.vq_autoencoder().unwrap();
    let mut pass = Pass::new(&network.store, Mode::Evaluate, Taps::none(), 0);
    let latents = Feature::Map(net.encode(&mut pass, batch(1).images)).to_rows();
    let before = network.store.get::<2>(net.codebook_id());
    let used = integers(&nearest(latents.clone(), before.clone()));
    let mut interlude = Interlude {
        cast: &mut cast,
        teacher: None,
        held_out: Some(&Some3),
    };
    vqae.begin_epoch(0, &mut interlude).unwrap();
    let after = cast.store(STUDENT).unwrap().get::<2>(net.codebook_id());
    let latents: Vec<Vec<f64>> = numbers(&latents).chunks(6).map(<[f64]>::to_vec).collect();
    let (before, after) = (numbers(&before), numbers(&after));
    let mut revived = 0;
    for code in 0..9 {
        let own = code * 6..(code + 1) * 6;
        if used.contains(&(code as i64)) {
            assert_eq!(before[own.clone()], after[own]);
        } else {
            assert!(latents.contains(&after[own].to_vec()));
            revived += 1;
        }
    }
    assert!(revived > 0);
    let still = VqaeConfig {
        revive: false,
        ..VqaeConfig::default()
    };
    assert_eq!((made(still).0.sampled(), vqae.sampled()), (0, 256));
}

#[test]
fn a_representation_is_the_decoders_of_the_nearest_codes() {
    let network = headless("vq_autoencoder_f4_d6_k9", 1);
    let images = batch(1).images;
    let found = represented("vqae", &network, images.clone()).unwrap();
    let net = network.vq_autoencoder().unwrap();
    let mut pass = Pass::new(&network.store, Mode::Evaluate, Taps::none(), 0);
    let latent = net.encode(&mut pass, images);
    let codes = quantise(latent, net.codebook(&pass)).straight_through;
    assert_close(&numbers(&found), &numbers(&net.decode(&mut pass, codes)));
}

#[test]
fn what_does_not_fit_is_refused() {
    let refused = |student, config| {
        let mut cast = Cast::new(student);
        let error = Vqae::new(config, &probe(&[], &[]), &mut cast).unwrap_err();
        error.to_string()
    };
    let other = refused(network("resnet8", 1), VqaeConfig::default());
    assert!(
        other.contains("`resnet8`") && other.contains("vq_autoencoder"),
        "{other}"
    );
    let beta = VqaeConfig {
        beta: -1.0,
        ..VqaeConfig::default()
    };
    let found = refused(headless("vq_autoencoder", 1), beta);
    assert!(found.contains("`beta`"), "{found}");
}
