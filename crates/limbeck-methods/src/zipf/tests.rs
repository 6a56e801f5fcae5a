use super::*;
use crate::testing::{
    assert_close, gradient, labels, leaf, map, network, network_probe, number, numbers, random,
    tensor, vector,
};

fn make(config: ZipfConfig) -> Result<(Zipf, Cast), MethodError> {
    let mut cast = Cast::new(network("resnet8", 1));
    let method = Zipf::new(config, &network_probe(), &mut cast)?;
    Ok((method, cast))
}

fn default() -> Zipf {
    make(ZipfConfig::default()).unwrap().0
}

fn votes(votes: &[i64], shape: [usize; 2]) -> Tensor<2, Int> {
    labels(votes).reshape(shape)
}

#[test]
fn the_last_map_votes_and_heads_sit_before_it() {
    assert_eq!(default().voters.as_deref(), Some("stage3"));
    let config = ZipfConfig {
        deep_layers: 3,
        ..ZipfConfig::default()
    };
    let (method, cast) = make(config).unwrap();
    let taps: Vec<&str> = method.heads.iter().map(|(tap, _)| tap.as_str()).collect();
    assert_eq!(taps, ["stage2", "stage1"]);
    assert!(cast.store(HEADS).unwrap().find("heads.1.weight").is_some());
    let logits = ZipfConfig {
        rank_by: ZipfRanking::Logits,
        ..ZipfConfig::default()
    };
    assert_eq!(make(logits).unwrap().0.voters, None);
}

#[test]
fn votes_rank_the_classes_and_no_gradient_passes_through_them() {
    let method = default();
    let logits = leaf(random("z", [2, 5]));
    let y = labels(&[1, 4]);
    let votes = votes(&[0, 0, 2, 3, 3, 3, 1, 1], [2, 4]);
    let zipf = method.divergence(logits.clone(), &y, Some(&votes)).unwrap();
    // Image 0: class 0 first, 2 and 3 second, 4 and the label last of all.
    let first = [1.0, 0.5, 0.5, 0.25].map(|w| w / 2.25);
    assert_close(&numbers(&zipf.targets)[..4], &first);
    let gradient = gradient(&logits, &zipf.value.backward()).unwrap();
    assert_close(&[gradient[1], gradient[5 + 4]], &[0.0, 0.0]);
    assert_close(&[gradient.iter().sum()], &[0.0]);
    assert!(gradient[0].abs() > 1e-6);
}

#[test]
fn the_divergence_is_zero_where_the_prediction_is_the_target() {
    let method = default();
    let logits = tensor(
        [0.5, 1.0 / 3.0, 1.0, 0.25, 0.2].map(f64::ln).to_vec(),
        [1, 5],
    );
    let zipf = method.divergence(logits, &labels(&[4]), None).unwrap();
    assert_close(&[number(&zipf.value)], &[0.0]);
}

#[test]
fn two_classes_give_a_constant_zero() {
    let mut method = default();
    method.classes = 2;
    let logits = leaf(random("z", [3, 2]));
    let zipf = method
        .divergence(logits.clone(), &labels(&[0, 1, 1]), None)
        .unwrap();
    assert_close(&[number(&zipf.value)], &[0.0]);
    let gradient = gradient(&logits, &zipf.value.backward()).unwrap();
    assert_close(&gradient, &[0.0; 6]);
}

#[test]
fn wrong_images_can_be_left_out() {
    let config = ZipfConfig {
        mask_wrong: true,
        ..ZipfConfig::default()
    };
    let method = make(config).unwrap().0;
    let logits = tensor(
        vec![3.0, 1.0, 2.0, 0.0, 1.0, 5.0, 0.5, 0.2, 0.1, 0.9],
        [2, 5],
    );
    let value = |logits: &Tensor<2>, y: &[i64]| {
        let zipf = method.divergence(logits.clone(), &labels(y), None).unwrap();
        number(&zipf.value)
    };
    let right = value(&logits.clone().narrow(0, 0, 1), &[0]);
    assert_close(&[value(&logits, &[0, 3])], &[right]);
    assert_close(&[value(&logits, &[1, 3])], &[0.0]);
}

#[test]
fn students_votes_and_settings_that_do_not_fit_are_refused() {
    let method = default();
    let y = labels(&[0]);
    for (vote, expected) in [(5, "a vote for class 5; there are 5"), (-1, "class -1")] {
        let votes = votes(&[vote], [1, 1]);
        let error = method.divergence(random("z", [1, 5]), &y, Some(&votes));
        let error = error.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let none = Tensor::<2, Int>::zeros([1, 0], &y.device());
    let error = method.divergence(random("z", [1, 5]), &y, Some(&none));
    assert!(error.unwrap_err().to_string().contains("no position votes"));

    let mut probe = network_probe();
    probe.student = vec![map("stage1", [3, 4, 4]), vector("pooled", 64)];
    let config = |rank_by| ZipfConfig {
        rank_by,
        ..ZipfConfig::default()
    };
    let new = |config, probe: &Probe| {
        Zipf::new(config, probe, &mut Cast::new(network("resnet8", 1))).map_err(|e| e.to_string())
    };
    let error = new(config(ZipfRanking::Votes), &probe).unwrap_err();
    assert!(error.contains("none of its maps is 64 wide"), "{error}");
    assert_eq!(new(config(ZipfRanking::Auto), &probe).unwrap().voters, None);
    probe.classes = 1;
    let error = new(config(ZipfRanking::Auto), &probe).unwrap_err();
    assert!(error.contains("the data has 1"), "{error}");

    let refused = |change: fn(&mut ZipfConfig), expected: &str| {
        let mut config = ZipfConfig::default();
        change(&mut config);
        let error = make(config).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    refused(|c| c.weight = -1.0, "`weight` must be");
    refused(|c| c.power = 0.0, "`power` must be");
    refused(|c| c.left_bound = 0.0, "`left_bound` must be");
    refused(|c| c.right_bound = 0.0005, "`right_bound` must be above");
    refused(|c| c.head_weight = f64::NAN, "`head_weight` must be");
    refused(|c| c.deep_layers = 0, "`deep_layers` must be");
    refused(|c| c.deep_layers = 4, "(it has 3)");
}
