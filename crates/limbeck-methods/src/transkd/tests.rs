//! Laws of `transkd`.

use limbeck_nn::{Store, Tap, TapKind};

use super::*;
use crate::testing::{
    assert_close, build, gradient, leaf, map as map_tap, number, numbers, outputs, pass, probe,
    random, terms,
};

const SIZES: [[usize; 2]; 3] = [[8, 4], [4, 2], [2, 1]];

fn taps(widths: [usize; 3]) -> Vec<Tap> {
    let mut taps = vec![map_tap(IMAGE, [3, 32, 16])];
    for ((stage, width), grid) in (1..).zip(widths).zip(SIZES) {
        let tokens = TapKind::Tokens {
            shape: [grid[0] * grid[1], width],
            prefix: 0,
            grid,
        };
        taps.push(Tap {
            name: embed(stage),
            kind: tokens,
        });
        taps.push(map_tap(&map(stage), [width, grid[0], grid[1]]));
    }
    taps
}

fn make(variant: TransKdVariant) -> Result<(TransKd, Store), MethodError> {
    let config = TransKdConfig {
        variant,
        mid_channels: 5,
        heads: 2,
        ..TransKdConfig::default()
    };
    with(config)
}

fn with(config: TransKdConfig) -> Result<(TransKd, Store), MethodError> {
    let probe = probe(&taps([2, 3, 4]), &taps([3, 5, 6]));
    build(&probe, |probe, builder| {
        TransKd::new(config, probe, builder)
    })
}

const ALL: [TransKdVariant; 3] = [TransKdVariant::Base, TransKdVariant::Gl, TransKdVariant::Ea];

fn set(store: &mut Store, begins: &str, value: impl Fn(usize) -> f64) {
    let ids: Vec<_> = store.ids().collect();
    for id in ids {
        let entry = store.entry(id);
        if entry.name.starts_with(begins) {
            let count = entry.shape.iter().product();
            store.set_values(id, (0..count).map(&value).collect());
        }
    }
}

#[test]
fn the_gate_changes_nothing_where_both_maps_are_the_same() {
    let stage = Stage {
        student: 2,
        teacher: 3,
        size: [4, 4],
    };
    let (fusion, mut store) = build(&probe(&[], &[]), |_, builder| {
        Ok(SelectiveFusion::new(builder, &[stage, stage], 5))
    })
    .unwrap();
    let same = random("s", [2, 2, 4, 4]);
    // Both stages reduce alike.
    for name in ["conv1.0.weight", "conv2.0.weight"] {
        let id = store.find(&format!("skfs.0.{name}")).unwrap();
        let other = store.find(&format!("skfs.1.{name}")).unwrap();
        let values = store.entry(id).value.clone();
        store.set(other, values);
    }
    let fused = fusion.forward(&mut pass(&store), vec![same.clone(), same]);
    assert_close(&numbers(&fused[0]), &numbers(&fused[1]));
}

#[test]
fn a_single_image_goes_without_batch_norm_in_the_gate_and_a_batch_with_it() {
    let stages = [4, 2].map(|side| Stage {
        student: 2,
        teacher: 3,
        size: [side, side],
    });
    let (fusion, store) = build(&probe(&[], &[]), |_, builder| {
        Ok(SelectiveFusion::new(builder, &stages, 5))
    })
    .unwrap();
    let changes = |batch: usize, begins: &str| {
        let maps = [4, 2].map(|side| random::<4>(&format!("s{side}"), [batch, 2, side, side]));
        let fused = |store: &Store| {
            let found = fusion.forward(&mut pass(store), maps.to_vec());
            numbers(&found[0])
        };
        let mut moved = store.clone();
        set(&mut moved, begins, |i| 0.3 + i as f64 / 7.0);
        fused(&store) != fused(&moved)
    };
    assert!(!changes(1, "skfs.1.fc.0") && changes(1, "skfs.1.fc1"));
    assert!(changes(2, "skfs.1.fc.0") && !changes(2, "skfs.1.fc1"));
}

#[test]
fn a_mixer_that_weighs_nothing_gives_nothing_and_assistants_without_weight_are_the_plain_map() {
    let student = outputs("s", 2, &taps([2, 3, 4]));
    let made = |variant, store: &Store, method: &TransKd| {
        let tokens = method.tokens("student", &student).unwrap();
        let maps = method.maps("student", &student).unwrap();
        let image = map_of("transkd", "student", &student, IMAGE).unwrap();
        let image = (variant == TransKdVariant::Ea).then_some(image);
        let found = method
            .embeddings
            .forward(&mut pass(store), tokens, &maps, image);
        found.iter().map(numbers).collect::<Vec<_>>()
    };
    let (base, plain) = make(TransKdVariant::Base).unwrap();
    let expected = made(TransKdVariant::Base, &plain, &base);

    let (gl, mut store) = make(TransKdVariant::Gl).unwrap();
    set(&mut store, "atten_weight", |_| 0.0);
    set(&mut store, "conv_weight", |_| 0.0);
    let found = made(TransKdVariant::Gl, &store, &gl);
    assert_eq!(found[..2], expected[..2]);
    let bias = store.find("embed3_linearproject.bias").unwrap();
    let bias = numbers(&store.get::<1>(bias));
    assert_close(&found[2], &bias.repeat(4));

    let (ea, mut store) = make(TransKdVariant::Ea).unwrap();
    for (index, share) in [1.0, 1.0, 1.0, 0.0, 0.0, 0.0].into_iter().enumerate() {
        set(&mut store, &format!("fuse_weights.{index}"), |_| share);
    }
    let found = made(TransKdVariant::Ea, &store, &ea);
    for (found, expected) in found.iter().zip(&expected) {
        assert_close(found, expected);
    }
}

#[test]
fn gradients_reach_the_student_and_the_modules_but_not_the_teacher() {
    for variant in ALL {
        let (mut method, store) = make(variant).unwrap();
        let mut student = outputs("s", 2, &taps([2, 3, 4]));
        let mut teacher = outputs("t", 2, &taps([3, 5, 6]));
        let [s, t] = [&mut student, &mut teacher].map(|outputs| {
            let map = leaf(outputs.feature("stage2").unwrap().to_map().unwrap());
            let feature = Feature::Map(map.clone());
            outputs.features.insert("stage2".to_owned(), feature);
            map
        });
        let tracked = store.tracked();
        let found = terms(&mut method, &tracked, &student, &teacher);
        let names: Vec<&str> = found.iter().map(|term| term.name.as_str()).collect();
        assert_eq!(names, ["features", "embeddings"]);
        let total = found[0].value.clone() + found[1].value.clone();
        assert!(number(&total) > 0.0);
        let mut gradients = total.backward();
        assert!(gradient(&s, &gradients).is_some());
        assert!(gradient(&t, &gradients).is_none());
        let arrived = tracked.gradients(&mut gradients);
        for (entry, gradient) in tracked.entries().iter().zip(arrived) {
            let unused = entry.name.contains("fc1.") || !entry.role.is_trained();
            assert_eq!(gradient.is_none(), unused, "{}", entry.name);
        }
    }
}

#[test]
fn weights_of_embeddings_are_one_for_each_stage() {
    let (method, _) = make(TransKdVariant::Base).unwrap();
    assert_eq!(method.embed_weights, [0.1, 0.5, 1.0]);
    let given = |weights: &[f64]| {
        with(TransKdConfig {
            embed_weights: Some(weights.to_vec()),
            ..TransKdConfig::default()
        })
    };
    assert_eq!(
        given(&[1.0, 2.0, 3.0]).unwrap().0.embed_weights,
        [1.0, 2.0, 3.0]
    );
    let error = given(&[1.0]).unwrap_err().to_string();
    assert!(error.contains("a list of 3 numbers"), "{error}");
    assert!(given(&[1.0, -2.0, 3.0]).is_err());
}

#[test]
fn networks_that_do_not_fit_are_refused() {
    let refused = |student: Vec<Tap>, teacher: Vec<Tap>, variant| {
        let config = TransKdConfig {
            variant,
            heads: 3,
            ..TransKdConfig::default()
        };
        let made = build(&probe(&student, &teacher), |probe, builder| {
            TransKd::new(config, probe, builder)
        });
        made.unwrap_err().to_string()
    };
    let base = TransKdVariant::Base;
    let whole = || taps([2, 3, 4]);
    let cnn = || vec![map_tap("stage1", [2, 8, 4])];
    let error = refused(cnn(), whole(), base);
    assert!(error.contains("the student has none"), "{error}");
    let error = refused(whole(), cnn(), base);
    assert!(error.contains("the teacher has none"), "{error}");
    let fewer = || whole().into_iter().take(5).collect::<Vec<_>>();
    let error = refused(fewer(), whole(), base);
    assert!(error.contains("2 stages, the teacher 3"), "{error}");
    let error = refused(whole(), whole(), TransKdVariant::Gl);
    assert!(error.contains("a divisor of the 4 channels"), "{error}");
    let hidden = || whole().into_iter().skip(1).collect::<Vec<_>>();
    let error = refused(hidden(), whole(), TransKdVariant::Ea);
    assert!(error.contains("does not show the image"), "{error}");
    let mut odd = whole();
    odd[0] = map_tap(IMAGE, [3, 64, 16]);
    let error = refused(odd, whole(), TransKdVariant::Ea);
    assert!(
        error.contains("stride 4 does not lead from 64×16"),
        "{error}"
    );
}
