//! Laws of projectors, losses, acts and settings.

use limbeck_data::Stream;
use limbeck_nn::{Store, Tap, Taps};

use super::*;
use crate::{
    Batch, Classification, MethodError, Setting, Teacher,
    testing::{
        INPUT, POSITIONS, assert_close, gradient, leaf, network, network_probe, number, numbers,
        pass, probe, random, target, tensor,
    },
};

/// A probe for `resnet8` that learns from a transformer on a 4×4 grid.
fn transformer_probe() -> Probe {
    Probe {
        teacher: Some(network("vit_nano", 2).taps()),
        ..network_probe()
    }
}

fn make(config: CakdConfig) -> Result<(Cakd, Cast), MethodError> {
    let mut cast = Cast::new(network("resnet8", 1));
    let method = Cakd::new(config, &transformer_probe(), &mut cast)?;
    Ok((method, cast))
}

/// Released, with a discriminator for 16 positions.
fn released() -> CakdConfig {
    CakdConfig {
        form: CakdForm::Released,
        discriminator_layers: 2,
        ..CakdConfig::default()
    }
}

fn projections(name: &str) -> Projections {
    let of = |part: &str| random(&format!("{name}/{part}"), [2, 6, 4]);
    Projections {
        queries: of("q"),
        keys: of("k"),
        values: of("v"),
    }
}

fn masks(value: f64) -> [Tensor<3>; 3] {
    std::array::from_fn(|_| tensor(vec![value; 48], [2, 6, 4]))
}

#[test]
fn with_the_teachers_numbers_alone_the_attention_costs_nothing() {
    let (student, teacher) = (projections("s"), projections("t"));
    let errors = CrossAttention::compare(&student, &teacher, masks(1.0));
    assert_close(&[number(&errors.attention)], &[0.0]);
    assert!(number(&errors.values) > 0.1);
    let own = CrossAttention::compare(&student, &teacher, masks(0.0));
    assert_close(&numbers(&own.student), &numbers(&student.clone().attend()));
    let equal = CrossAttention::compare(&teacher, &teacher, masks(0.0));
    assert_close(
        &[number(&equal.attention), number(&equal.values)],
        &[0.0; 2],
    );
}

#[test]
fn about_half_of_a_mask_is_the_teachers_and_the_three_differ() {
    let like = random("x", [4, 16, 50]);
    let masks = CrossAttention::draw_masks(&like, &mut Stream::of_seed(1));
    let shares = masks.clone().map(|mask| number(&mask.mean()));
    assert!(shares.iter().all(|share| (0.45..0.55).contains(share)));
    assert_ne!(numbers(&masks[0]), numbers(&masks[1]));
}

#[test]
fn one_product_is_the_mean_over_heads() {
    let found = Relations::of(&projections("p"), 2);
    let p = projections("p");
    let head = |x: &Tensor<3>, head: usize| x.clone().narrow(2, 2 * head, 2);
    let product = |a: &Tensor<3>, b: &Tensor<3>| {
        let of = |index| head(a, index).matmul(head(b, index).transpose());
        (of(0) + of(1)).mul_scalar(0.5)
    };
    let expected = product(&p.queries, &p.keys).mul_scalar(0.5_f64.sqrt());
    assert_close(&numbers(&found.attention), &numbers(&expected));
    let expected = product(&p.values, &p.values);
    assert_close(&numbers(&found.values), &numbers(&expected));
    let patches = found.patches(1);
    assert_eq!(patches.attention.dims(), [2, 5, 5]);
}

fn group_linear(map: [usize; 3], width: usize) -> (GroupLinear, Store) {
    let probe = probe(&[], &[]);
    let mut store = Store::new(&probe.device, probe.dtype);
    let layers = GroupLinear::new(&mut Builder::new(&mut store, 3), map, width, 4);
    (layers, store)
}

#[test]
fn the_squares_are_those_of_the_released_code() {
    for (side, expected) in [(14, 16), (7, 4), (4, 1), (8, 4)] {
        assert_eq!(group_linear([2, side, side], 3).0.groups(), expected);
    }
}

#[test]
fn a_linear_map_changes_its_own_square_alone() {
    let (layers, mut store) = group_linear([2, 7, 7], 3);
    let map = random("x", [1, 2, 7, 7]);
    let before = numbers(&layers.forward(&mut pass(&store), map.clone()));
    let id = store.find("layers.fc_layer_1.weight").unwrap();
    store.set_values(id, vec![7.0; 6]);
    let after = numbers(&layers.forward(&mut pass(&store), map));
    for (index, (a, b)) in before.chunks(3).zip(after.chunks(3)).enumerate() {
        let (row, column) = (index / 7, index % 7);
        assert_eq!(a != b, row < 4 && column >= 4, "{row}, {column}");
    }
}

#[test]
fn equal_linear_maps_are_one() {
    let (layers, mut store) = group_linear([2, 5, 6], 3);
    let ids: Vec<_> = store.ids().collect();
    for id in ids {
        let count: usize = store.entry(id).shape.iter().product();
        store.set_values(id, (0..count).map(|i| i as f64).collect());
    }
    let map = random("x", [2, 2, 5, 6]);
    let found = layers.forward(&mut pass(&store), map.clone());
    let weight = store.get::<2>(store.find("layers.fc_layer_0.weight").unwrap());
    let bias = store.get::<1>(store.find("layers.fc_layer_0.bias").unwrap());
    let weight = weight.transpose().reshape([1, 2, 3]).expand([2, 2, 3]);
    let expected = tokens(map).matmul(weight) + bias.reshape([1, 1, 3]);
    assert_close(&numbers(&found), &numbers(&expected));
}

#[test]
fn the_released_weight_rises_from_epoch_25_to_35_and_stays() {
    let (method, _) = make(released()).unwrap();
    let ramp: Vec<f64> = (0..120).map(|epoch| method.ramp(epoch)).collect();
    assert!(ramp[..=25].iter().all(|&r| r == 0.0));
    assert_close(&[ramp[26], ramp[35], ramp[119]], &[0.02, 0.2, 0.2]);
    assert!(ramp.windows(2).all(|pair| pair[0] <= pair[1]));
}

#[test]
fn cross_entropy_of_great_logits_is_finite_and_right() {
    let logits = tensor(vec![1000.0, -1000.0], [2]);
    let of = |label| number(&binary_cross_entropy(logits.clone(), label));
    assert_close(&[of(true), of(false)], &[500.0; 2]);
    let zero = tensor(vec![0.0; 3], [3]);
    let found = number(&binary_cross_entropy(zero, true));
    assert_close(&[found], &[2_f64.ln()]);
}

#[test]
fn the_student_gains_where_the_discriminator_errs() {
    for form in [CakdForm::Paper, CakdForm::Released] {
        let (method, _) = make(CakdConfig { form, ..released() }).unwrap();
        let of = |fake: f64| number(&method.adversarial_loss(tensor(vec![fake; 2], [2])));
        assert!(of(1.0) < of(-1.0), "{form:?}");
    }
}

struct Frozen(limbeck_nn::Network);

impl Teacher for Frozen {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn taps(&self) -> Vec<Tap> {
        self.0.taps()
    }

    fn outputs(&self, images: Tensor<4>, taps: &Taps) -> Result<Outputs, MethodError> {
        Ok(self.0.evaluate(images, taps))
    }
}

/// Plays both acts in epoch `epoch`; gives for each member how many tensors got a gradient that
/// is not zero, act by act.
fn learners(config: CakdConfig, epoch: usize) -> [Vec<(String, usize)>; 2] {
    let (mut method, cast) = make(config).unwrap();
    let shape = [4, INPUT.channels, INPUT.height, INPUT.width];
    let batch = Batch::new(
        random("images", shape),
        target(&[0, 1, 2, 3]),
        POSITIONS[..4].to_vec(),
    );
    let teacher = Frozen(network("vit_nano", 2));
    let progress = Progress {
        epoch,
        epochs: 100,
        step: 0,
        steps: 1,
    };
    let stage = method.stages(100).remove(0);
    [0, 1].map(|act| {
        let mut scene = Scene::new(Setting {
            cast: &cast,
            act: &stage.acts[act],
            batch: &batch,
            teacher: Some(&teacher),
            stage: progress,
            run: progress,
            task: &Classification::PLAIN,
            seed: 7,
        });
        let terms = method.play(0, act, &mut scene).unwrap();
        let played = scene.finish();
        let total = terms
            .iter()
            .filter(|term| term.name == "adversarial" || act == 1)
            .map(|term| term.value.clone().mul_scalar(term.weight))
            .reduce(|a, b| a + b)
            .unwrap();
        if !total.is_tracked() {
            return Vec::new();
        }
        let mut gradients = total.backward();
        let counted = played.tracked.iter().map(|(member, store)| {
            let found = store.gradients(&mut gradients);
            let live = found.into_iter().flatten().filter(|gradient| {
                let numbers: Vec<f64> = gradient.clone().try_into_vec_as().unwrap();
                numbers.iter().any(|&number| number != 0.0)
            });
            (member.clone(), live.count())
        });
        counted.filter(|(_, count)| *count > 0).collect()
    })
}

#[test]
fn each_act_teaches_its_own_members_through_the_discriminator() {
    for form in [CakdForm::Paper, CakdForm::Released] {
        let config = CakdConfig { form, ..released() };
        let [student, discriminator] = learners(config, 60);
        let names = |found: &[(String, usize)]| -> Vec<String> {
            found.iter().map(|(name, _)| name.clone()).collect()
        };
        assert_eq!(names(&student), [PROJECTORS, STUDENT], "{form:?}");
        assert_eq!(names(&discriminator), [DISCRIMINATOR], "{form:?}");
    }
}

#[test]
fn the_released_loops_defects_cut_the_students_gradient_off() {
    let config = CakdConfig {
        compat_detach: true,
        ..released()
    };
    let [student, discriminator] = learners(config.clone(), 60);
    assert!(student.is_empty(), "{student:?}");
    assert_eq!(discriminator.len(), 1);
    let (method, _) = make(config).unwrap();
    let (real, fake) = (leaf(random("r", [3])), leaf(random("f", [3])));
    let gradients = method
        .discriminator_loss(real.clone(), fake.clone())
        .backward();
    assert!(gradient(&real, &gradients).is_none());
    assert!(gradient(&fake, &gradients).is_some());
}

#[test]
fn the_discriminator_does_not_learn_alone() {
    let (mut method, cast) = make(CakdConfig::default()).unwrap();
    assert!(method.judged.is_none());
    assert_eq!(method.pairs(), [("stage3".to_owned(), "block5".to_owned())]);
    assert_close(&[method.learning_rate(0, 1, progress(), 0.1)], &[0.001]);
    let act = Act::training([DISCRIMINATOR]);
    let batch = Batch::new(random("images", [1, 3, 16, 16]), target(&[0]), vec![0]);
    let mut scene = Scene::new(Setting {
        cast: &cast,
        act: &act,
        batch: &batch,
        teacher: None,
        stage: progress(),
        run: progress(),
        task: &Classification::PLAIN,
        seed: 0,
    });
    let error = method.play(0, 1, &mut scene).unwrap_err().to_string();
    assert!(error.contains("after the student"), "{error}");
}

fn progress() -> Progress {
    Progress {
        epoch: 0,
        epochs: 1,
        step: 0,
        steps: 1,
    }
}

#[test]
fn unfit_settings_and_networks_are_refused() {
    for (change, words) in [
        (
            (|c| c.adversarial_weight = -1.0) as fn(&mut CakdConfig),
            "`adversarial_weight`",
        ),
        (|c| c.multi_view = 1.5, "`multi_view`"),
        (|c| c.dropout = 1.0, "`dropout`"),
        (|c| c.group = 0, "`group` must be at least 1"),
        (|c| c.heads = 0, "`heads` must be at least 1"),
        (|c| c.heads = 7, "a divisor of the student map's 64"),
        (|c| c.discriminator_rate = f64::NAN, "`discriminator_rate`"),
        (|c| c.discriminator_width = 0, "`discriminator_width`"),
        (|c| c.discriminator_layers = 0, "`discriminator_layers`"),
        (|c| c.discriminator_layers = 3, "16 positions"),
    ] {
        let mut config = released();
        change(&mut config);
        let error = make(config).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    let refused = |probe: &Probe, resize| {
        let config = CakdConfig {
            resize,
            ..CakdConfig::default()
        };
        let mut cast = Cast::new(network("resnet8", 1));
        Cakd::new(config, probe, &mut cast).map(drop)
    };
    let error = refused(&network_probe(), false).unwrap_err().to_string();
    assert!(error.contains("vision transformer"), "{error}");

    let mut other = transformer_probe();
    other.student.retain(|tap| !tap.name.starts_with("stage3"));
    let error = refused(&other, false).unwrap_err().to_string();
    assert!(error.contains("as many positions"), "{error}");
    assert!(refused(&other, true).is_ok());

    let mut named = transformer_probe();
    let pair = |s: &str, t: &str| Some(vec![(s.to_owned(), t.to_owned())]);
    named.pairs = pair("stage3", "block2");
    assert!(refused(&named, false).is_ok());
    named.pairs = pair("stage3", "block9");
    let error = refused(&named, false).unwrap_err().to_string();
    assert!(error.contains("no tap `block9`"), "{error}");
    named.pairs = pair("stage9", "block2");
    assert!(refused(&named, false).is_err());
}
