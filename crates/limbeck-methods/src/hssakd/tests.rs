//! Laws of the joint task, its branches, and the forms.

use burn::tensor::{Int, activation::softmax};
use limbeck_nn::Store;

use super::*;
use super::{
    branches::BranchStage,
    joint::{class_scores, joint_labels, joint_shares},
};
use crate::{
    Target,
    rotation::quarter_turn,
    testing::{
        assert_close, build, gradient, labels, leaf, map, mixed_target, network, network_probe,
        number, numbers, pass, probe, random, supervision, target, tensor, vector,
    },
};

fn make_for(config: HssakdConfig, probe: &Probe) -> Result<(Hssakd, Cast), MethodError> {
    let mut cast = Cast::new(network("resnet8", 1));
    let method = Hssakd::new(config, probe, &mut cast)?;
    Ok((method, cast))
}

fn of(form: HssakdForm) -> (Hssakd, Cast) {
    let config = HssakdConfig {
        form,
        ..HssakdConfig::default()
    };
    make_for(config, &network_probe()).unwrap()
}

/// Three images, five classes, two branches.
fn rows(name: &str) -> JointRows {
    JointRows {
        logits: random(&format!("{name}/z"), [12, 5]),
        joint_logits: (0..2)
            .map(|l| random(&format!("{name}/q{l}"), [12, 20]))
            .collect(),
    }
}

fn tracked(rows: JointRows) -> JointRows {
    JointRows {
        logits: leaf(rows.logits),
        joint_logits: rows.joint_logits.into_iter().map(leaf).collect(),
    }
}

fn integers(tensor: &Tensor<1, Int>) -> Vec<i64> {
    tensor.to_data().iter().collect()
}

#[test]
fn joint_labels_tell_class_and_turn_and_fit_the_joint_classes() {
    let joint = integers(&joint_labels(&labels(&[4, 0, 2])));
    assert_eq!(joint, [16, 17, 18, 19, 0, 1, 2, 3, 8, 9, 10, 11]);
    for (row, &label) in joint.iter().enumerate() {
        assert!((0..20).contains(&label));
        assert_eq!(label % 4, row as i64 % 4);
    }
}

#[test]
fn whole_shares_say_what_labels_say_and_mixed_ones_add_up() {
    let whole = tensor(vec![0.0, 1.0, 1.0, 0.0], [2, 2]);
    let rows = JointRows {
        logits: random("z", [8, 2]),
        joint_logits: vec![random("q", [8, 8])],
    };
    let loss = |target: &Target| number(&rows.joint_loss(supervision(target)).unwrap());
    assert_close(
        &[loss(&target(&[1, 0]))],
        &[loss(&mixed_target(&[1, 0], whole))],
    );
    let mixed = joint_shares(&tensor(vec![0.3, 0.7, 0.4, 0.6], [2, 2]));
    assert_close(&numbers(&mixed.clone().sum_dim(1)), &[1.0; 8]);
    let row = numbers(&mixed.slice([1..2, 0..8]));
    assert_close(&row, &[0.0, 0.3, 0.0, 0.0, 0.0, 0.7, 0.0, 0.0]);
}

#[test]
fn rows_that_are_not_turned_are_every_fourth_and_show_the_images() {
    let images = random("x", [2, 3, 4, 4]);
    let turned = rotations(images.clone());
    for image in 0..2 {
        let row = turned.clone().narrow(0, 4 * image, 1);
        assert_eq!(numbers(&row), numbers(&images.clone().narrow(0, image, 1)));
        let next = turned.clone().narrow(0, 4 * image + 1, 1);
        assert_eq!(numbers(&next), numbers(&quarter_turn(row)));
    }
    let rows = rows("a");
    let upright = rows.upright();
    assert_eq!(upright.dims(), [3, 5]);
    for image in 0..3 {
        let expected = rows.logits.clone().narrow(0, 4 * image, 1);
        assert_eq!(
            numbers(&upright.clone().narrow(0, image, 1)),
            numbers(&expected)
        );
    }
}

#[test]
fn joint_probabilities_of_a_class_add_up_to_a_distribution() {
    let scores = class_scores(softmax(random("q", [12, 20]), 1)).unwrap();
    assert_eq!(scores.dims(), [12, 5]);
    assert!(numbers(&scores).iter().all(|&p| p > 0.0));
    assert_close(&numbers(&scores.sum_dim(1)), &[1.0; 12]);
    let error = class_scores(random("q", [12, 18])).unwrap_err().to_string();
    assert!(error.contains("found 18 columns"), "{error}");
}

#[test]
fn identical_networks_have_nothing_to_teach_each_other() {
    let found = rows("a").imitate(&rows("a"), 3.0).unwrap();
    assert_close(&[number(&found.kd), number(&found.joint_kd)], &[0.0; 2]);
    let found = rows("a").imitate(&rows("b"), 3.0).unwrap();
    assert!(number(&found.kd) > 0.01 && number(&found.joint_kd) > 0.01);
}

#[test]
fn the_student_learns_in_all_rows_and_branches_and_the_teacher_nowhere() {
    let (student, teacher) = (tracked(rows("a")), tracked(rows("b")));
    let found = student.imitate(&teacher, 3.0).unwrap();
    let gradients = (found.kd + found.joint_kd).backward();
    let of_logits = gradient(&student.logits, &gradients).unwrap();
    assert!(of_logits.iter().all(|&g| g != 0.0));
    for (own, other) in student.joint_logits.iter().zip(&teacher.joint_logits) {
        assert!(gradient(own, &gradients).is_some());
        assert!(gradient(other, &gradients).is_none());
    }
    assert!(gradient(&teacher.logits, &gradients).is_none());
}

#[test]
fn what_both_learn_online_does_not_depend_on_who_is_first() {
    let total = |first: &JointRows, second: &JointRows| {
        let one = first.imitate(second, 3.0).unwrap();
        let other = second.imitate(first, 3.0).unwrap();
        number(&(one.kd + one.joint_kd + other.kd + other.joint_kd))
    };
    let (a, b) = (rows("a"), rows("b"));
    assert_close(&[total(&a, &b)], &[total(&b, &a)]);
}

#[test]
fn accuracy_counts_rows_of_the_deepest_branch() {
    let mut rows = rows("a");
    let right = joint_labels(&labels(&[4, 0, 2]));
    let right: Tensor<2> = right.one_hot::<2>(20).float().cast(rows.logits.dtype());
    rows.joint_logits[1] = right;
    let of = |classes: &[i64]| number(&rows.joint_accuracy(&labels(classes)));
    assert_close(&[of(&[4, 0, 2]), of(&[4, 0, 1])], &[1.0, 2.0 / 3.0]);
}

#[test]
fn branches_copy_the_stages_that_follow_and_the_last_keeps_its_size() {
    let taps = [
        map("stem", [4, 16, 16]),
        map("block0", [4, 16, 16]),
        map("block1", [4, 16, 16]),
        map("stage1", [4, 16, 16]),
        map("block2", [8, 8, 8]),
        map("stage2.preact", [8, 8, 8]),
        map("stage2", [8, 8, 8]),
        map("stage3", [8, 8, 8]),
        vector("pooled", 8),
    ];
    let stage = |channels, stride, blocks| BranchStage {
        channels,
        stride,
        blocks,
    };
    let planned = |blocks| BranchPlan::of_taps("student", &taps, None, blocks, 20).unwrap();
    let (plan, names) = planned(None);
    assert_eq!(names, ["stage1", "stage2", "stage3"]);
    assert_eq!(
        plan.stages,
        [stage(4, 1, 2), stage(8, 2, 1), stage(8, 1, 1)]
    );
    let (deeper, _) = planned(Some(3));
    assert!(deeper.stages.iter().all(|stage| stage.blocks == 3));
    let (branches, store) = make_branches(&plan);
    assert_eq!(branches.count(), 3);
    for (name, shape) in [
        ("block_extractor1.0.0.conv1.weight", vec![8, 4, 3, 3]),
        ("block_extractor1.0.0.downsample.0.weight", vec![8, 4, 1, 1]),
        ("block_extractor1.1.0.conv2.weight", vec![8, 8, 3, 3]),
        ("block_extractor3.0.0.conv1.weight", vec![8, 8, 3, 3]),
        ("fc3.weight", vec![20, 8]),
    ] {
        let id = store.find(name).unwrap_or_else(|| panic!("no {name}"));
        assert_eq!(store.entry(id).shape, shape, "{name}");
    }
    assert!(
        store
            .find("block_extractor3.0.0.downsample.0.weight")
            .is_none()
    );
    let bias = store.get::<1>(store.find("fc1.bias").unwrap());
    assert_eq!(numbers(&bias), [0.0; 20]);
    let features = || {
        let shapes = [[2, 4, 16, 16], [2, 8, 8, 8], [2, 8, 8, 8]];
        shapes.map(|shape| random("f", shape)).to_vec()
    };
    let logits = branches.forward(&mut pass(&store), features()).unwrap();
    assert!(logits.iter().all(|q| q.dims() == [2, 20]));
    let few = branches.forward(&mut pass(&store), features()[..2].to_vec());
    let error = few.unwrap_err().to_string();
    assert!(
        error.contains("3 branches") && error.contains("2 maps"),
        "{error}"
    );
}

#[test]
fn branches_have_the_blocks_of_their_network() {
    let taps = |model| network(model, 1).taps();
    assert_eq!(BranchBlock::of_taps(&taps("resnet8")), BranchBlock::Basic);
    let taps = taps("wrn_16_1");
    assert_eq!(BranchBlock::of_taps(&taps), BranchBlock::Wide);
    let (mut plan, _) = BranchPlan::of_taps("student", &taps, None, None, 20).unwrap();
    for (block, names) in [
        (
            BranchBlock::Wide,
            [
                "block_extractor1.1.layer.0.convShortcut.weight",
                "block_extractor3.0.layer.1.bn1.weight",
                "bn2.running_mean",
            ],
        ),
        (
            BranchBlock::Bottleneck,
            [
                "block_extractor1.1.0.conv3.weight",
                "block_extractor3.0.1.bn3.weight",
                "block_extractor2.0.0.downsample.1.weight",
            ],
        ),
    ] {
        plan.block = block;
        let (branches, store) = make_branches(&plan);
        for name in names {
            assert!(store.find(name).is_some(), "{block:?}: no {name}");
        }
        assert_eq!(
            store.find("bn1.weight").is_some(),
            block == BranchBlock::Wide
        );
        let shapes = [[2, 16, 16, 16], [2, 32, 8, 8], [2, 64, 4, 4]];
        let features = shapes.map(|shape| random("f", shape)).to_vec();
        let logits = branches.forward(&mut pass(&store), features).unwrap();
        assert!(logits.iter().all(|q| q.dims() == [2, 20]));
    }
}

fn make_branches(plan: &BranchPlan) -> (AuxiliaryBranches, Store) {
    build(&probe(&[], &[]), |_, builder| {
        Ok(AuxiliaryBranches::new(builder, plan))
    })
    .unwrap()
}

#[test]
fn each_form_has_its_stages_and_members() {
    let names = |form| -> Vec<(String, usize)> {
        let stages = of(form).0.stages(240);
        stages.into_iter().map(|s| (s.name, s.epochs)).collect()
    };
    let stage = |name: &str, epochs| (name.to_owned(), epochs);
    let offline = [stage("branches", 101), stage("student", 240)];
    assert_eq!(names(HssakdForm::Offline), offline);
    let joint = [stage("teacher", 101), stage("student", 240)];
    assert_eq!(names(HssakdForm::Joint), joint);
    assert_eq!(names(HssakdForm::Online), [stage("train", 240)]);
    let (method, cast) = of(HssakdForm::Online);
    let members: Vec<&str> = cast.members().map(|(name, _)| name).collect();
    let expected = ["peer", "peer-branches", "student", "student-branches"];
    assert_eq!(members, expected);
    assert!(
        expected
            .iter()
            .all(|name| method.stages(1)[0].acts[0].trains(name))
    );
    let (method, _) = of(HssakdForm::Offline);
    assert!(!method.stages(1)[0].acts[0].trains("student"));
}

#[test]
fn peers_are_drawn_apart() {
    let (_, cast) = of(HssakdForm::Online);
    let first = |name: &str| numbers(&cast.store(name).unwrap().entries()[0].value);
    assert_ne!(first("student"), first("peer"));
    assert_ne!(first("student-branches"), first("peer-branches"));
}

#[test]
fn the_frozen_teachers_stage_has_a_schedule_of_its_own() {
    let at = |form, stage, epoch| {
        let progress = Progress {
            epoch,
            epochs: 100,
            step: 0,
            steps: 1,
        };
        of(form).0.learning_rate(stage, 0, progress, 1.0)
    };
    let offline = HssakdForm::Offline;
    let rates = [0, 30, 60, 90].map(|epoch| at(offline, 0, epoch));
    assert_close(&rates, &[0.05, 0.005, 0.0005, 0.00005]);
    assert_close(&[at(offline, 1, 0), at(HssakdForm::Joint, 0, 0)], &[1.0; 2]);
}

#[test]
fn few_shots_hold_out_the_rest() {
    let config = HssakdConfig {
        few_shot: 0.25,
        ..HssakdConfig::default()
    };
    let (method, _) = make_for(config, &network_probe()).unwrap();
    assert_close(&[method.held_out()], &[0.75]);
    assert_eq!(of(HssakdForm::Offline).0.held_out(), 0.0);
}

#[test]
fn unfit_settings_are_refused() {
    let default = HssakdConfig::default;
    for (config, text) in [
        (
            HssakdConfig {
                temperature: 0.0,
                ..default()
            },
            "`temperature` must be a number above 0",
        ),
        (
            HssakdConfig {
                few_shot: 0.0,
                ..default()
            },
            "`few_shot` must be a number above 0, to 1, found 0",
        ),
        (
            HssakdConfig {
                few_shot: 1.5,
                ..default()
            },
            "found 1.5",
        ),
        (
            HssakdConfig {
                few_shot: f64::NAN,
                ..default()
            },
            "found NaN",
        ),
        (
            HssakdConfig {
                blocks: Some(0),
                ..default()
            },
            "`blocks` must be at least 1",
        ),
        (
            HssakdConfig {
                teacher_share: -1.0,
                ..default()
            },
            "`teacher_share` must be",
        ),
        (
            HssakdConfig {
                form: HssakdForm::Online,
                network: Some("resnet9000".to_owned()),
                ..default()
            },
            "resnet9000",
        ),
    ] {
        let error = make_for(config, &network_probe()).unwrap_err().to_string();
        assert!(error.contains(text), "{error}");
    }
}

#[test]
fn networks_that_do_not_fit_are_refused() {
    let refused = |change: &dyn Fn(&mut Probe), words: &[&str]| {
        let mut probe = network_probe();
        change(&mut probe);
        let error = make_for(HssakdConfig::default(), &probe).unwrap_err();
        let error = error.to_string();
        assert!(words.iter().all(|word| error.contains(word)), "{error}");
    };
    refused(
        &|probe| {
            let teacher = probe.teacher.as_mut().unwrap();
            teacher.retain(|tap| tap.name != "stage3");
        },
        &["the student has 3", "the teacher 2"],
    );
    refused(
        &|probe| probe.teacher.as_mut().unwrap().last_mut().unwrap().kind = TapKind::Vector(7),
        &["7 classes", "the data has 5"],
    );
    refused(
        &|probe| probe.student = vec![vector("pooled", 4)],
        &["the student has none"],
    );
    refused(&|probe| probe.teacher = None, &["--teacher"]);
    let taps = [map("stage1", [6, 4, 4]), map("stage2", [8, 8, 8])];
    let larger = BranchPlan::of_taps("peer", &taps, Some(BranchBlock::Basic), None, 20);
    let error = larger.unwrap_err().to_string();
    assert!(
        error.contains("`stage2`") && error.contains("4×4"),
        "{error}"
    );
    let odd = BranchPlan::of_taps("peer", &taps, Some(BranchBlock::Bottleneck), None, 20);
    let error = odd.unwrap_err().to_string();
    assert!(
        error.contains("multiples of 4") && error.contains("basic"),
        "{error}"
    );
    let error = require_square(ID, 32, 24).unwrap_err().to_string();
    assert!(error.contains("32×24"), "{error}");
}

#[test]
fn rows_that_do_not_fit_are_refused() {
    let y = target(&[0, 1, 2]);
    let refused = |rows: JointRows, words: &[&str]| {
        let error = rows.joint_loss(supervision(&y)).unwrap_err().to_string();
        assert!(words.iter().all(|word| error.contains(word)), "{error}");
    };
    let with = |logits: [usize; 2], joint: [usize; 2]| JointRows {
        logits: random("z", logits),
        joint_logits: vec![random("q", joint)],
    };
    refused(with([10, 5], [10, 20]), &["found 10 rows"]);
    refused(with([16, 5], [16, 20]), &["found 16 rows for 3 labels"]);
    refused(with([12, 5], [12, 18]), &["[12, 20]", "[12, 18]"]);
    let few = JointRows {
        joint_logits: rows("b").joint_logits[..1].to_vec(),
        ..rows("b")
    };
    let error = rows("a").imitate(&few, 3.0).unwrap_err().to_string();
    assert!(
        error.contains("2 branches") && error.contains("and 1 of"),
        "{error}"
    );
}
