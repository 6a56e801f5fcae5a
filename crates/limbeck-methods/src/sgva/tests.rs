//! Laws of `sgva`.

use burn::tensor::{DType, Device, Tensor};
use limbeck_nn::{Builder, Store};

use super::*;
use crate::testing::{assert_close, gradient, leaf, number, numbers, pass, random, tensor};

const WIDTH: usize = 5;
const LIFTED: usize = 8;

fn projection(bias: bool) -> VisualProjection {
    let matrix = numbers(&random("projection", [LIFTED, WIDTH]));
    let bias = bias.then(|| numbers(&random("bias", [1, WIDTH])));
    let shape = [LIFTED, WIDTH];
    VisualProjection::new(&matrix, shape, bias.as_deref(), &Device::flex(), DType::F64).unwrap()
}

fn made(config: &SgvaConfig, projection: Option<VisualProjection>) -> (FeatureAdapter, Store) {
    let mut store = Store::new(&Device::flex(), DType::F64);
    let mut builder = Builder::new(&mut store, 3);
    let adapter = FeatureAdapter::new(config, &mut builder, WIDTH, projection);
    (adapter, store)
}

fn adapted(adapter: &FeatureAdapter, store: &Store, features: Tensor<2>) -> Vec<f64> {
    numbers(&adapter.forward(&mut pass(store), adapter.lift(features)))
}

const SUPPORT: [usize; 4] = [0, 1, 0, 1];
const CLASSES: [usize; 4] = [2, 0, 2, 0];

/// An episode of classes 2 and 0 of three, query and support being the same four images.
fn episode(adapter: &FeatureAdapter, z: Tensor<2>, texts: Tensor<2>) -> EpisodeTerms {
    let query = unit_rows(random("images", [4, WIDTH]));
    let episode = Episode {
        query,
        texts,
        adapted_query: z.clone(),
        adapted_support: z,
        support_labels: &SUPPORT,
        query_labels: &SUPPORT,
        query_classes: &CLASSES,
        way: 2,
    };
    episode.terms(&SgvaConfig::default(), adapter).unwrap()
}

#[test]
fn lifted_features_project_to_themselves() {
    let features = random("features", [6, WIDTH]);
    for bias in [false, true] {
        let projection = projection(bias);
        assert_eq!(projection.rank(), WIDTH);
        let back = projection.project(projection.lift(features.clone()));
        assert_close(&numbers(&back), &numbers(&features));
    }
}

#[test]
fn a_projection_that_loses_a_direction_tells_its_rank() {
    let mut matrix = numbers(&random("projection", [LIFTED, WIDTH]));
    for row in matrix.chunks_mut(WIDTH) {
        row[4] = row[0] - 2.0 * row[1];
    }
    let shape = [LIFTED, WIDTH];
    let made = VisualProjection::new(&matrix, shape, None, &Device::flex(), DType::F64).unwrap();
    assert_eq!(made.rank(), WIDTH - 1);
    let lifted = numbers(&made.lift(random("features", [3, WIDTH])));
    assert!(
        lifted.iter().all(|number| number.abs() < 100.0),
        "{lifted:?}"
    );
}

#[test]
fn projections_that_do_not_fit_are_refused() {
    let make = |numbers: &[f64], bias: Option<&[f64]>| {
        let made = VisualProjection::new(numbers, [2, 2], bias, &Device::flex(), DType::F64);
        made.unwrap_err().to_string()
    };
    assert!(make(&[1.0; 3], None).contains("[2, 2] has 3 numbers"));
    assert!(make(&[0.0; 4], None).contains("zeros"));
    assert!(make(&[1.0, 2.0, f64::NAN, 0.0], None).contains("NaN"));
    assert!(make(&[1.0, 2.0, 3.0, 5.0], Some(&[0.0])).contains("its bias has 1"));
}

#[test]
fn adapted_features_have_length_1_and_no_negative_number() {
    for projection in [None, Some(projection(true))] {
        let (adapter, store) = made(&SgvaConfig::default(), projection);
        let z = adapted(&adapter, &store, random("features", [6, WIDTH]));
        assert!(z.iter().all(|&number| number >= 0.0));
        for row in z.chunks(z.len() / 6) {
            assert_close(&[row.iter().map(|x| x * x).sum()], &[1.0]);
        }
    }
}

#[test]
fn without_alpha_the_linear_maps_do_not_count() {
    let config = SgvaConfig {
        alpha: 0.0,
        ..SgvaConfig::default()
    };
    let (adapter, mut store) = made(&config, None);
    let features = random("features", [6, WIDTH]);
    let before = adapted(&adapter, &store, features.clone());
    let weight = store.find("linear1.weight").unwrap();
    store.set_values(weight, vec![7.0; 2 * WIDTH * WIDTH]);
    assert_close(&adapted(&adapter, &store, features.clone()), &before);
    let expected = unit_rows(burn::tensor::activation::relu(features));
    assert_close(&before, &numbers(&expected));
}

#[test]
fn the_scale_of_a_feature_changes_nothing_and_zeros_stay_finite() {
    let (adapter, store) = made(&SgvaConfig::default(), None);
    let features = random("features", [6, WIDTH]);
    assert_close(
        &adapted(&adapter, &store, features.clone().mul_scalar(40.0)),
        &adapted(&adapter, &store, features),
    );
    let zeros = adapted(&adapter, &store, tensor(vec![0.0; WIDTH], [1, WIDTH]));
    assert_eq!(zeros, [0.0; WIDTH]);
}

#[test]
fn adapted_features_that_say_the_same_cost_the_entropy() {
    let (adapter, _) = made(&SgvaConfig::default(), None);
    let texts = unit_rows(random("texts", [3, WIDTH]));
    let query = unit_rows(random("images", [4, WIDTH]));
    let kd = number(&episode(&adapter, query.clone(), texts.clone()).kd);
    let logits = numbers(&episode::similarities(query, texts.clone(), 100.0 / 5.0));
    let entropy: f64 = logits
        .chunks(3)
        .map(|row| {
            let sum: f64 = row.iter().map(|x| x.exp()).sum();
            let probabilities = row.iter().map(|x| x.exp() / sum);
            -probabilities.map(|p| p * p.ln()).sum::<f64>()
        })
        .sum();
    assert_close(&[kd], &[entropy / 4.0]);
    let other = unit_rows(random("others", [4, WIDTH]));
    assert!(number(&episode(&adapter, other, texts).kd) > kd);
}

#[test]
fn texts_learn_from_i2t_alone_and_the_adapter_from_the_rest() {
    let (adapter, _) = made(&SgvaConfig::default(), None);
    let z = leaf(unit_rows(random("others", [4, WIDTH])));
    let texts = leaf(unit_rows(random("texts", [3, WIDTH])));
    let arrived = |term: fn(EpisodeTerms) -> Tensor<1>| {
        let gradients = term(episode(&adapter, z.clone(), texts.clone())).backward();
        let moves = |found: Option<Vec<f64>>| found.is_some_and(|g| g.iter().any(|x| *x != 0.0));
        [
            moves(gradient(&z, &gradients)),
            moves(gradient(&texts, &gradients)),
        ]
    };
    assert_eq!(arrived(|terms| terms.i2i), [true, false]);
    assert_eq!(arrived(|terms| terms.kd), [true, false]);
    assert_eq!(arrived(|terms| terms.i2t), [false, true]);
}

#[test]
fn the_order_of_support_within_a_class_changes_nothing() {
    let rows = random("others", [4, WIDTH]);
    let order = |order: [i64; 4]| {
        let index = crate::testing::labels(&order);
        let labels: Vec<usize> = order.iter().map(|&i| SUPPORT[i as usize]).collect();
        numbers(&prototypes(rows.clone().select(0, index), &labels, 2).unwrap())
    };
    assert_close(&order([0, 1, 2, 3]), &order([2, 3, 0, 1]));
    assert_close(&order([0, 1, 2, 3]), &order([1, 0, 3, 2]));
}

#[test]
fn a_class_without_support_and_labels_beyond_the_classes_are_refused() {
    let rows = || random("others", [2, WIDTH]);
    let error = |labels: &[usize], classes| prototypes(rows(), labels, classes).unwrap_err();
    assert!(error(&[0, 0], 2).to_string().contains("class 1"));
    assert!(error(&[0, 4], 2).to_string().contains("beyond"));
    assert!(error(&[0], 1).to_string().contains("2 images of support"));
}

#[test]
fn learned_texts_begin_with_what_is_given() {
    let mut store = Store::new(&Device::flex(), DType::F64);
    let given = random("texts", [3, WIDTH]);
    let texts = LearnedTexts::new(&mut Builder::new(&mut store, 0), given.clone());
    let now = numbers(&texts.vectors(&pass(&store)));
    assert_close(&now, &numbers(&unit_rows(given)));
    assert_eq!(store.entries()[0].name, "texts.offset");
}

#[test]
fn the_focal_variant_weighs_sure_images_less() {
    let (adapter, _) = made(&SgvaConfig::default(), None);
    let z = unit_rows(random("others", [4, WIDTH]));
    let texts = unit_rows(random("texts", [3, WIDTH]));
    let terms = |focal_gamma: f64| {
        let config = SgvaConfig {
            focal_gamma,
            logit_scale: 2.0,
            ..SgvaConfig::default()
        };
        let episode = Episode {
            query: z.clone(),
            texts: texts.clone(),
            adapted_query: z.clone(),
            adapted_support: z.clone(),
            support_labels: &SUPPORT,
            query_labels: &SUPPORT,
            query_classes: &CLASSES,
            way: 2,
        };
        number(&episode.terms(&config, &adapter).unwrap().i2t)
    };
    let logits = numbers(&episode::similarities(z.clone(), texts.clone(), 2.0));
    let expected = |gamma: i32| {
        let rows = logits.chunks(3).zip(CLASSES);
        let each = rows.map(|(row, class)| {
            let p = row[class].exp() / row.iter().map(|x| x.exp()).sum::<f64>();
            -(1.0 - p).powi(gamma) * p.ln()
        });
        each.sum::<f64>() / 4.0
    };
    assert_close(&[terms(0.0)], &[expected(0)]);
    assert_close(&[terms(2.0)], &[expected(2)]);
}

#[test]
fn settings_out_of_range_are_refused_by_name() {
    let refused = |settings: serde_json::Value| {
        let config = serde_json::from_value(settings).unwrap();
        Sgva::new(config).unwrap_err().to_string()
    };
    for (key, value) in [
        ("temperature", 0.0),
        ("lambda", 1.5),
        ("alpha", -0.1),
        ("kd_weight", -1.0),
        ("hidden", 0.0),
        ("learning_rate", 0.0),
    ] {
        let message = refused(serde_json::json!({ key: value }));
        assert!(message.contains(&format!("`{key}`")), "{message}");
    }
    assert!(refused(serde_json::json!({ "epochs": 0 })).contains("`epochs`"));
    assert!(refused(serde_json::json!({ "way": 1 })).contains("`way`"));
    let method = Sgva::new(SgvaConfig::default()).unwrap();
    assert_eq!(
        (method.way(10).unwrap(), method.way(100).unwrap()),
        (10, 50)
    );
    assert_eq!(method.learning_rates(5), [3e-3, 4e-4]);
    let wide = SgvaConfig {
        way: Some(11),
        ..SgvaConfig::default()
    };
    let error = Sgva::new(wide).unwrap().way(10).unwrap_err().to_string();
    assert!(
        error.contains("at most the number of classes, 10"),
        "{error}"
    );
}
