use burn::tensor::{DType, Device, Tensor};
use limbeck_nn::{
    Builder, Feature, InputShape, Network, Outputs, ParameterId, Store, Tap, TapKind, Taps, model,
};

use super::{
    Prockd, ProckdConfig,
    prototypes::{Prototypes, of_length_one},
    states::{HiddenStates, Layout, equally_spaced},
};
use crate::{
    Batch, Cast, Classification, MethodError, Played, Probe, Procedure, Progress, STUDENT, Scene,
    Segmentation, Setting, Target, Task, Teacher, Term,
    rehearsal::{total, trained},
    testing::{
        POSITIONS, assert_close, map, masks, network_probe, number, numbers, pass, random, target,
        tokens, vector,
    },
};

const WIDTH: usize = 6;
const COUNT: usize = 4;

fn prototypes(seed: u64) -> (Prototypes, Store) {
    let mut store = Store::new(&Device::flex(), DType::F64);
    let made = Prototypes::new(Builder::new(&mut store, seed), COUNT, WIDTH);
    (made, store)
}

fn states(name: &str, batch: usize, count: usize) -> Tensor<3> {
    random(name, [batch, count, 3 * WIDTH])
}

/// vlad, then augment.
fn rebuilt(prototypes: &Prototypes, store: &Store, states: Tensor<3>) -> Tensor<3> {
    let mut pass = pass(store);
    let code = prototypes.code(&mut pass, states);
    let tokens = prototypes.rebuild(&mut pass, &code, code.tokens.clone());
    prototypes.augment(&mut pass, tokens)
}

#[test]
fn shares_add_up_to_one_and_the_residuals_have_length_one() {
    let (prototypes, store) = prototypes(1);
    let mut pass = pass(&store);
    let unit = of_length_one(random::<3>("x", [2, 5, WIDTH]));
    let shares = prototypes.shares(&mut pass, unit.clone());
    assert_eq!(shares.dims(), [2, COUNT, 5]);
    assert_close(&numbers(&shares.clone().sum_dim(1)), &[1.0; 10]);
    let residuals = prototypes.residuals(&pass, unit, shares);
    assert_close(&numbers(&residuals.square().sum_dim(1)), &[1.0; 2]);
    let align = prototypes.align(&mut pass, random("x", [2, 5, WIDTH]));
    assert_close(&numbers(&align.shares.sum_dim(2)), &[1.0; 10]);
}

#[test]
fn a_token_that_points_along_a_prototype_is_nearest_to_it() {
    let (prototypes, mut store) = prototypes(1);
    // The first map gives its first numbers as they are.
    let map = store.find("cat_transform.weight").unwrap();
    let identity = |at: usize| f64::from(at / (3 * WIDTH) == at % (3 * WIDTH));
    store.set_values(map, (0..3 * WIDTH * WIDTH).map(identity).collect());
    let bias = store.find("cat_transform.bias").unwrap();
    store.set_values(bias, vec![0.0; WIDTH]);
    let id = store.find("centroids").unwrap();
    let centroids = numbers(&store.entry(id).value);
    let row = |k: usize| &centroids[k * WIDTH..(k + 1) * WIDTH];
    // Token n is 3 times as long as prototype n.
    let tokens: Vec<f64> = (0..COUNT)
        .flat_map(|k| {
            let zeros = vec![0.0; 2 * WIDTH];
            row(k)
                .iter()
                .map(|x| 3.0 * x)
                .chain(zeros)
                .collect::<Vec<f64>>()
        })
        .collect();
    let tokens = crate::testing::tensor(tokens, [1, COUNT, 3 * WIDTH]);
    let (near, shares) = prototypes.likeness(&mut pass(&store), tokens);
    assert_eq!(
        (near.dims(), shares.dims()),
        ([1, COUNT, COUNT], [1, COUNT, COUNT])
    );
    assert_close(&numbers(&shares.sum_dim(1)), &[1.0; COUNT]);
    for (k, near) in numbers(&near).chunks(COUNT).enumerate() {
        let length = row(k).iter().map(|x| x * x).sum::<f64>().sqrt();
        assert_close(&near[k..=k], &[length]);
        assert!(
            near.iter().all(|other| *other <= near[k] + 1e-12),
            "{k}: {near:?}"
        );
    }
}

#[test]
fn patches_that_change_places_do_so_in_what_is_rebuilt() {
    let (prototypes, store) = prototypes(1);
    let states = states("t", 2, 5);
    let order = [0, 3, 1, 4, 2];
    let permuted = |x: &Tensor<3>| {
        let rows = order.map(|row| x.clone().narrow(1, row, 1));
        Tensor::cat(rows.to_vec(), 1)
    };
    let before = rebuilt(&prototypes, &store, states.clone());
    let after = rebuilt(&prototypes, &store, permuted(&states));
    assert_close(&numbers(&after), &numbers(&permuted(&before)));
    assert!(numbers(&before).iter().all(|value| *value >= 0.0));
}

#[test]
fn prototypes_that_change_places_change_nothing() {
    let (prototypes, store) = prototypes(1);
    let order = [2, 0, 3, 1];
    let mut permuted = store.clone();
    let rows = |store: &mut Store, name: &str, columns: usize| {
        let id = store.find(name).unwrap();
        let values = numbers(&store.entry(id).value);
        let row = |row: usize| values[row * columns..(row + 1) * columns].to_vec();
        store.set_values(id, order.into_iter().flat_map(row).collect());
    };
    rows(&mut permuted, "centroids", WIDTH);
    rows(&mut permuted, "assign.weight", WIDTH);
    // Columns: a block of WIDTH for each prototype.
    let id = permuted.find("vlad_fc.weight").unwrap();
    let values = numbers(&permuted.entry(id).value);
    let block = |row: usize, k: usize| {
        let from = row * COUNT * WIDTH + k * WIDTH;
        values[from..from + WIDTH].to_vec()
    };
    let moved = (0..WIDTH).flat_map(|row| order.into_iter().flat_map(move |k| block(row, k)));
    permuted.set_values(id, moved.collect());
    let states = states("t", 2, 5);
    let before = rebuilt(&prototypes, &store, states.clone());
    let after = rebuilt(&prototypes, &permuted, states);
    assert_close(&numbers(&after), &numbers(&before));
}

#[test]
fn an_image_is_rebuilt_alike_in_any_batch() {
    let (prototypes, store) = prototypes(1);
    let states = states("t", 3, 5);
    let all = rebuilt(&prototypes, &store, states.clone());
    for image in 0..3 {
        let alone = rebuilt(&prototypes, &store, states.clone().narrow(0, image, 1));
        assert_close(&numbers(&alone), &numbers(&all.clone().narrow(0, image, 1)));
    }
}

#[test]
fn tokens_of_zeros_have_gradients_that_are_numbers() {
    let (prototypes, store) = prototypes(1);
    // All that the first map gives is below zero.
    let mut store = store;
    let bias = store.find("cat_transform.bias").unwrap();
    store.set_values(bias, vec![-1e3; WIDTH]);
    let tracked = store.tracked();
    let tokens = rebuilt(&prototypes, &tracked, states("t", 2, 5));
    let mut gradients = tokens.sum().backward();
    for gradient in tracked.gradients(&mut gradients).into_iter().flatten() {
        assert!(numbers(&gradient).iter().all(|value| value.is_finite()));
    }
}

#[test]
fn states_are_joined_only_where_they_go_together() {
    let (prototypes, _) = prototypes(1);
    let state = |count: usize, width: usize| random::<3>("t", [2, count, width]);
    let join = |states: Vec<Tensor<3>>| prototypes.join("prockd", states);
    let joined = join(vec![state(5, WIDTH); 3]).unwrap();
    assert_eq!(joined.dims(), [2, 5, 3 * WIDTH]);
    for states in [
        vec![state(5, WIDTH); 2],
        vec![state(5, WIDTH), state(4, WIDTH), state(5, WIDTH)],
        vec![state(5, WIDTH + 1); 3],
    ] {
        let error = join(states).unwrap_err().to_string();
        assert!(error.contains("3 hidden states"), "{error}");
    }
}

#[test]
fn blocks_are_chosen_evenly_and_of_other_networks_the_last_stages() {
    let blocks = |depth: usize| -> Vec<Tap> {
        let block = |i| tokens(&format!("block{i}"), 8, [4, 4]);
        (0..depth).map(block).collect()
    };
    assert_eq!(equally_spaced(&blocks(12)), ["block3", "block7", "block11"]);
    assert_eq!(equally_spaced(&blocks(7)), ["block2", "block4", "block6"]);
    let stages: Vec<Tap> = (1..=4)
        .map(|i| map(&format!("stage{i}"), [4, 16 >> i, 16 >> i]))
        .collect();
    assert_eq!(equally_spaced(&stages), ["stage2", "stage3", "stage4"]);
    // Blocks on several grids stand for their stages.
    let mut pyramid = vec![tokens("block0", 8, [4, 4]), tokens("block1", 8, [2, 2])];
    pyramid.extend(stages);
    assert_eq!(equally_spaced(&pyramid), ["stage2", "stage3", "stage4"]);
}

#[test]
fn hidden_states_that_cannot_be_used_are_refused_in_a_sentence() {
    let refused = |named: Option<&str>, taps: &[Tap]| {
        let made = HiddenStates::new("prockd", named, taps);
        made.map(drop).unwrap_err().to_string()
    };
    let taps = [
        map("stage1", [4, 8, 8]),
        map("stage2", [4, 4, 4]),
        tokens("block0", 8, [4, 4]),
        tokens("block1", 8, [2, 2]),
        vector("pooled", 8),
    ];
    for (named, reason) in [
        (None, "3 taps of the teacher joined by `+`"),
        (Some("stage1+stage2"), "found `stage1+stage2`"),
        (Some("stage1+stage2+stage9"), "no tap `stage9`"),
        (Some("stage1+stage2+logits"), "no tap `logits`"),
        (Some("stage1+stage2+pooled"), "it has no positions"),
        (Some("block0+block1+block1"), "another number of tokens"),
        (Some("stage1+stage2+block0"), "another number of tokens"),
    ] {
        let error = refused(named, &taps);
        assert!(error.contains(reason), "{named:?}: {error}");
    }
}

#[test]
fn class_tokens_and_means_lead_the_positions() {
    let layout = |leading| Layout {
        leading,
        within: None,
    };
    let of = |taps: &[Tap], features: Vec<Feature>, layout| {
        let states = HiddenStates::new("prockd", Some("a+b+c"), taps).unwrap();
        let named = ["a", "b", "c"].map(str::to_owned).into_iter().zip(features);
        let outputs = Outputs {
            features: named.collect(),
            ..Outputs::from_logits(random("z", [2, 9]))
        };
        states.tokens("prockd", &outputs, layout).unwrap()
    };
    let sizes = [8, 4, 2];
    let names = ["a", "b", "c"];
    let maps: Vec<Tensor<4>> = sizes.map(|s| random("m", [2, 3, s, s])).to_vec();
    let taps: Vec<Tap> = names
        .into_iter()
        .zip(sizes)
        .map(|(n, s)| map(n, [3, s, s]))
        .collect();
    let features = || maps.iter().cloned().map(Feature::Map).collect();
    let states = of(&taps, features(), layout(1));
    assert_eq!(states.grid, [2, 2]);
    for (state, map) in states.tokens.iter().zip(&maps) {
        assert_eq!(state.dims(), [2, 5, 3]);
        let mean = map.clone().mean_dim(2).mean_dim(3);
        assert_close(&numbers(&state.clone().narrow(1, 0, 1)), &numbers(&mean));
        // Windows of one size: the mean of the positions is that of the map.
        let positions = state.clone().narrow(1, 1, 4).mean_dim(1);
        assert_close(&numbers(&positions), &numbers(&mean));
    }
    let pixels = Layout {
        leading: 0,
        within: Some([6, 3]),
    };
    let states = of(&taps, features(), pixels);
    assert_eq!(states.grid, [6, 3]);
    assert_eq!(states.tokens[2].dims(), [2, 18, 3]);

    let taps: Vec<Tap> = names.map(|name| tokens(name, 3, [2, 2])).to_vec();
    let feature = |name: &str| Feature::Tokens {
        tokens: random(name, [2, 5, 3]),
        prefix: 1,
        grid: [2, 2],
    };
    let states = of(&taps, names.map(feature).to_vec(), layout(1));
    for (state, name) in states.tokens.iter().zip(names) {
        assert_eq!(numbers(state), numbers(&random::<3>(name, [2, 5, 3])));
    }
    // A distilled student reads two tokens of a teacher that has one.
    let two = of(&taps, names.map(feature).to_vec(), layout(2));
    let [first, second] = [0, 1].map(|i| numbers(&two.tokens[0].clone().narrow(1, i, 1)));
    assert_eq!(first, second);
}

fn input(size: usize, classes: usize) -> InputShape {
    InputShape {
        channels: 3,
        height: size,
        width: size,
        classes,
    }
}

fn network(model: &str, size: usize, classes: usize, seed: u64) -> Network {
    model::build(
        model,
        input(size, classes),
        seed,
        &Device::flex(),
        DType::F64,
    )
    .unwrap()
}

/// A teacher whose numbers would record gradients if anything asked them to.
struct Leaking {
    network: Network,
    tracked: Store,
}

impl Leaking {
    fn new(network: Network) -> Self {
        let tracked = network.store.tracked();
        Self { network, tracked }
    }
}

impl Teacher for Leaking {
    fn name(&self) -> &str {
        self.network.name()
    }

    fn taps(&self) -> Vec<Tap> {
        self.network.taps()
    }

    fn outputs(&self, images: Tensor<4>, taps: &Taps) -> Result<Outputs, MethodError> {
        let mut network = self.network.clone();
        network.store = self.tracked.clone();
        Ok(network.evaluate(images, taps))
    }
}

fn fitted(student: &Network, teacher: &Network) -> Probe {
    Probe {
        student: student.taps(),
        teacher: Some(teacher.taps()),
        classes: student.input().classes,
        ..network_probe()
    }
}

struct Run {
    method: Prockd,
    cast: Cast,
    teacher: Leaking,
    size: usize,
}

impl Run {
    fn new(config: ProckdConfig, student: Network, teacher: Network) -> Result<Self, MethodError> {
        let probe = fitted(&student, &teacher);
        let size = student.input().height;
        let mut cast = Cast::new(student);
        Ok(Self {
            method: Prockd::new(config, &probe, &mut cast)?,
            cast,
            teacher: Leaking::new(teacher),
            size,
        })
    }

    /// How near four images are to the prototypes.
    fn likeness(&self) -> crate::Likeness {
        let images = random("images", [4, 3, self.size, self.size]);
        let batch = Batch::new(images, Target::None, POSITIONS[..4].to_vec());
        let act = crate::Act::default();
        let progress = Progress {
            epoch: 1,
            epochs: 1,
            step: 0,
            steps: 1,
        };
        let mut scene = Scene::new(Setting {
            cast: &self.cast,
            act: &act,
            batch: &batch,
            teacher: Some(&self.teacher),
            stage: progress,
            run: progress,
            task: &Classification::PLAIN,
            seed: 7,
        });
        self.method.likeness(&mut scene).unwrap().unwrap()
    }

    /// Plays the act on four images.
    fn play(&mut self) -> (Vec<Term>, Played) {
        let segments =
            self.cast.network(STUDENT).unwrap().task() == Some(crate::TaskKind::Segmentation);
        let images = random("images", [4, 3, self.size, self.size]);
        let known = match segments {
            true => masks([4, self.size, self.size]),
            false => target(&[0, 1, 2, 3]),
        };
        let dense = Segmentation::default();
        let task: &dyn Task = match segments {
            true => &dense,
            false => &Classification::PLAIN,
        };
        self.play_on(images, known, task)
    }

    fn play_on(
        &mut self,
        images: Tensor<4>,
        known: Target,
        task: &dyn Task,
    ) -> (Vec<Term>, Played) {
        let stage = self.method.stages(10).remove(0);
        let count = images.dims()[0];
        let batch = Batch::new(images, known, POSITIONS[..count].to_vec());
        let progress = Progress {
            epoch: 0,
            epochs: 10,
            step: 0,
            steps: 10,
        };
        let mut scene = Scene::new(Setting {
            cast: &self.cast,
            act: &stage.acts[0],
            batch: &batch,
            teacher: Some(&self.teacher),
            stage: progress,
            run: progress,
            task,
            seed: 7,
        });
        let terms = self.method.play(0, 0, &mut scene).unwrap();
        (terms, scene.finish())
    }
}

fn few() -> ProckdConfig {
    ProckdConfig {
        prototypes: 3,
        ..ProckdConfig::default()
    }
}

fn values(terms: &[Term]) -> Vec<(String, f64)> {
    let named = terms
        .iter()
        .map(|term| (term.name.clone(), number(&term.value)));
    named.collect()
}

#[test]
fn every_kind_of_student_learns_from_every_kind_of_teacher() {
    let students = [
        "resnet8",
        "wrn_16_1",
        "vit_nano",
        "vit_nano_distilled",
        "tiny_vit_nano",
    ];
    let segmenters = [
        "pspnet_resnet18_x0.04",
        "lraspp_mobilenet_v2_x0.1",
        "segformer_b0_x0.1",
    ];
    let teachers = ["resnet14", "vit_nano", "tiny_vit_nano"];
    let config = ProckdConfig {
        weight_hidden: 0.5,
        ..few()
    };
    for student in students.into_iter().chain(segmenters) {
        for (seed, teacher) in (2..).zip(teachers) {
            let networks = [network(student, 32, 5, 1), network(teacher, 32, 7, seed)];
            let [own, known] = networks;
            let mut run = Run::new(config.clone(), own, known)
                .unwrap_or_else(|error| panic!("{student} from {teacher}: {error}"));
            let likeness = run.likeness();
            let positions = likeness.grid[0] * likeness.grid[1];
            assert_eq!(
                likeness.nearness.dims(),
                [4, 3, positions],
                "{student} from {teacher}"
            );
            let (terms, played) = run.play();
            let names: Vec<&str> = terms.iter().map(|term| term.name.as_str()).collect();
            assert_eq!(
                names,
                [
                    "task",
                    "aug",
                    "consistency",
                    "aug_student",
                    "aug_accuracy",
                    "hidden"
                ],
                "{student} from {teacher}"
            );
            let mut gradients = total(&terms).backward();
            for member in [STUDENT, "prototypes"] {
                let store = &played.tracked[member];
                let found = store.gradients(&mut gradients);
                for gradient in found.iter().flatten() {
                    let finite = numbers(gradient).iter().all(|value| value.is_finite());
                    assert!(finite, "{student} from {teacher}: {member}");
                }
                // All but an auxiliary head, which the task does not ask for.
                let named = store.entries().iter().zip(&found);
                let left: Vec<&str> = named
                    .filter(|(entry, gradient)| entry.role.is_trained() && gradient.is_none())
                    .map(|(entry, _)| entry.name.as_str())
                    .filter(|name| !name.starts_with("auxlayer"))
                    .collect();
                assert!(left.is_empty(), "{student} from {teacher}: {left:?}");
            }
            let teachers = run.teacher.tracked.gradients(&mut gradients);
            assert!(
                teachers.iter().all(Option::is_none),
                "{student} from {teacher}"
            );
        }
    }
}

#[test]
fn what_the_teachers_classes_are_never_enters() {
    // Parameters are drawn by their names: the two differ in the last map alone.
    let mut found = Vec::new();
    for classes in [5, 11] {
        let student = network("resnet8", 16, 5, 1);
        let mut run = Run::new(few(), student, network("resnet14", 16, classes, 2)).unwrap();
        let (terms, _) = run.play();
        found.push(values(&terms));
    }
    assert_eq!(found[0], found[1]);
}

#[test]
fn without_the_students_own_tokens_there_are_two_terms_beside_the_task() {
    let config = ProckdConfig {
        aug_student: false,
        ..few()
    };
    let student = network("vit_nano", 16, 5, 1);
    let mut run = Run::new(config, student, network("resnet14", 16, 9, 2)).unwrap();
    let (terms, played) = run.play();
    let names: Vec<&str> = terms.iter().map(|term| term.name.as_str()).collect();
    assert_eq!(names, ["task", "aug", "consistency"]);
    // The teacher's rebuilt tokens train the shared head, and nothing before it.
    let aug = terms.into_iter().find(|term| term.name == "aug").unwrap();
    let mut gradients = aug.value.backward();
    let store = &played.tracked[STUDENT];
    let found = store.gradients(&mut gradients);
    let learning: Vec<&str> = (store.entries().iter().zip(&found))
        .filter(|(_, gradient)| gradient.is_some())
        .map(|(entry, _)| entry.name.as_str())
        .collect();
    assert_eq!(
        learning,
        ["fc_norm.weight", "fc_norm.bias", "head.weight", "head.bias"]
    );
    let found = played.tracked["prototypes"].gradients(&mut gradients);
    assert_eq!(
        found.iter().flatten().count(),
        trained(&run.cast, "prototypes")
    );
}

#[test]
fn the_divergence_holds_no_gradient_for_what_is_rebuilt() {
    let student = network("resnet8", 16, 5, 1);
    let mut run = Run::new(few(), student, network("resnet14", 16, 9, 2)).unwrap();
    let (terms, played) = run.play();
    let consistency = terms.into_iter().find(|term| term.name == "consistency");
    let mut gradients = consistency.unwrap().value.backward();
    let found = played.tracked["prototypes"].gradients(&mut gradients);
    assert!(found.iter().all(Option::is_none));
}

#[test]
fn masks_of_void_alone_teach_nothing() {
    let student = network("pspnet_resnet18_x0.04", 32, 5, 1);
    let mut run = Run::new(few(), student, network("resnet14", 32, 9, 2)).unwrap();
    let void =
        burn::tensor::Tensor::<3, burn::tensor::Int>::full([4, 32, 32], 255, &Device::flex());
    let images = random("images", [4, 3, 32, 32]);
    let task = Segmentation::default();
    let (terms, _) = run.play_on(images, Target::Masks(void), &task);
    for (name, value) in values(&terms) {
        assert_eq!(value, 0.0, "{name}");
    }
}

#[test]
fn unfit_settings_and_networks_are_refused() {
    let refused = |config: ProckdConfig, student: Network| {
        let made = Run::new(config, student, network("resnet14", 16, 9, 2));
        made.map(drop).unwrap_err().to_string()
    };
    let student = || network("resnet8", 16, 5, 1);
    for (config, reason) in [
        (
            ProckdConfig {
                prototypes: 0,
                ..few()
            },
            "`prototypes` must be at least 1",
        ),
        (
            ProckdConfig {
                weight_aug: -1.0,
                ..few()
            },
            "`weight_aug`",
        ),
        (
            ProckdConfig {
                weight_consistency: f64::NAN,
                ..few()
            },
            "`weight_consistency`",
        ),
        (
            ProckdConfig {
                weight_hidden: -0.1,
                ..few()
            },
            "`weight_hidden`",
        ),
        (
            ProckdConfig {
                hidden: Some("stage1".to_owned()),
                ..few()
            },
            "`hidden` must be 3 taps",
        ),
    ] {
        let error = refused(config, student());
        assert!(error.contains(reason), "{error}");
    }
    let mut probe = fitted(&student(), &network("resnet14", 16, 9, 2));
    // A student of which no tap tells what its head reads.
    probe.student.retain(|tap| tap.name != "stage3");
    let error = Prockd::new(few(), &probe, &mut Cast::new(student()));
    let error = error.map(drop).unwrap_err().to_string();
    assert!(error.contains("its head cannot be run alone"), "{error}");
    probe.teacher = None;
    let error = Prockd::new(few(), &probe, &mut Cast::new(student())).map(drop);
    assert!(
        matches!(error, Err(MethodError::NoTeacher { .. })),
        "{error:?}"
    );
}

#[test]
fn a_head_reads_what_its_tap_has_and_nothing_else() {
    let student = network("resnet8", 16, 5, 1);
    let run = Run::new(few(), student, network("resnet14", 16, 9, 2)).unwrap();
    let network = run.cast.network(STUDENT).unwrap();
    let attention = Feature::Attention(random("a", [4, 1, 2, 2]));
    assert!(network.evaluate_head(attention).is_none());
    let kind = |map: Feature| network.evaluate_head(map).map(|logits| logits.kind());
    let map = Feature::Map(random("m", [4, 64, 3, 2]));
    assert_eq!(kind(map), Some(TapKind::Vector(5)));
    let id: ParameterId = network.store.find("fc.weight").unwrap();
    assert_eq!(network.store.entry(id).shape, [5, 64]);
}
