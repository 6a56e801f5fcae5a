use burn::tensor::Tensor;

use super::*;
use crate::testing::{
    assert_close, gradient, leaf, network, network_probe, number, numbers, random, supervision,
    target, tensor,
};

fn make(config: SharedHeadConfig) -> Result<(SharedHead, Cast), MethodError> {
    let mut cast = Cast::new(network("resnet8", 1));
    let method = SharedHead::new(config, &network_probe(), &mut cast)?;
    Ok((method, cast))
}

fn losses(change: impl FnOnce(&mut SharedHeadConfig)) -> SharedHeadLosses {
    let mut config = SharedHeadConfig::default();
    change(&mut config);
    SharedHeadLosses::new(&config).unwrap()
}

fn classifier(name: &str) -> Classifier {
    Classifier {
        weight: random(name, [5, 7]),
        bias: Some(random(&format!("{name} bias"), [5])),
    }
}

/// What a student with this classifier and embedding and a teacher give.
fn inputs(own: &Classifier, head: &Classifier, embedding: Tensor<2>) -> SharedHeadInputs {
    let teacher = random("teacher", [4, 7]);
    SharedHeadInputs {
        logits: own.logits(embedding.clone()),
        head_logits: Some(head.logits(embedding.clone())),
        embedding,
        teacher_logits: head.logits(teacher.clone()),
        teacher_embedding: teacher,
    }
}

fn values(terms: &[Term]) -> Vec<f64> {
    terms.iter().map(|term| number(&term.value)).collect()
}

#[test]
fn a_student_that_is_the_teacher_pays_nothing() {
    let head = classifier("head");
    let losses = losses(|c| c.embedding_weight = 1.0);
    let inputs = inputs(&head, &head, random("teacher", [4, 7]));
    let terms = losses
        .terms(&inputs, supervision(&target(&[0, 1, 2, 3])))
        .unwrap();
    let names: Vec<&str> = terms.iter().map(|term| term.name.as_str()).collect();
    assert_eq!(names, ["kd", "head", "embedding"]);
    assert_close(&values(&terms), &[0.0; 3]);
}

#[test]
fn what_the_head_does_not_see_changes_nothing_in_its_term() {
    // The last number of the embedding has no weight in the head.
    let mut head = classifier("head");
    let seen = tensor(vec![1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0], [1, 7]);
    head.weight = head.weight * seen.clone();
    let unseen = seen.neg().add_scalar(1.0);
    let own = classifier("own");
    let of = |embedding: Tensor<2>| {
        let terms = losses(|_| {})
            .terms(
                &inputs(&own, &head, embedding),
                supervision(&target(&[0; 4])),
            )
            .unwrap();
        values(&terms)
    };
    let embedding = random("student", [4, 7]);
    let moved = embedding.clone() + unseen.mul_scalar(3.0);
    let (before, after) = (of(embedding), of(moved));
    assert_close(&[after[1]], &[before[1]]);
    assert!((after[0] - before[0]).abs() > 1e-6);
}

#[test]
fn directions_do_not_know_lengths_and_are_summed_over_the_batch() {
    let losses = losses(|_| {});
    let (s, t) = (random("s", [3, 7]), random("t", [3, 7]));
    let distance = |s: &Tensor<2>, t: &Tensor<2>| number(&losses.distance(s.clone(), t.clone()));
    let once = distance(&s, &t);
    assert_close(&[distance(&s.clone().mul_scalar(4.0), &t)], &[once]);
    assert_close(&[distance(&s, &t.clone().mul_scalar(0.1))], &[once]);
    let twice = |x: &Tensor<2>| Tensor::cat(vec![x.clone(), x.clone()], 0);
    assert_close(&[distance(&twice(&s), &twice(&t))], &[2.0 * once]);
    let zero = leaf(tensor(vec![0.0; 7], [1, 7]));
    let value = losses.distance(zero.clone(), t.narrow(0, 0, 1));
    let gradient = gradient(&zero, &value.backward()).unwrap();
    assert!(gradient.iter().all(|g| g.is_finite()));
}

#[test]
fn without_a_share_the_papers_loss_is_plain_distillation() {
    let losses = losses(|c| {
        c.loss = SharedHeadLoss::Paper;
        c.head_share = 0.0;
    });
    let inputs = inputs(&classifier("own"), &classifier("head"), random("s", [4, 7]));
    let terms = losses
        .terms(&inputs, supervision(&target(&[0; 4])))
        .unwrap();
    let weights: Vec<f64> = terms.iter().map(|term| term.weight).collect();
    assert_eq!(weights, [0.0, 1.5, 0.0]);
    assert_eq!(losses.task_weight(), 1.0);
    let half = self::losses(|c| c.loss = SharedHeadLoss::Paper);
    assert_eq!(half.task_weight(), 0.5);
    let mixed = half.mixed_probabilities(inputs.logits, inputs.head_logits.unwrap());
    assert_close(&numbers(&mixed.sum_dim(1)), &[1.0; 4]);
}

#[test]
fn a_classifier_without_bias_is_a_product() {
    let head = Classifier {
        bias: None,
        ..classifier("head")
    };
    let z = random("z", [2, 7]);
    let expected = z.clone().matmul(head.weight.clone().transpose());
    assert_eq!(numbers(&head.logits(z)), numbers(&expected));
}

#[test]
fn embeddings_of_another_length_need_an_adapter() {
    let mut probe = network_probe();
    probe.teacher_classifier = Some(Classifier {
        weight: random("w", [5, 12]),
        bias: None,
    });
    let new = |config| {
        let mut cast = Cast::new(network("resnet8", 1));
        let method = SharedHead::new(config, &probe, &mut cast);
        method
            .map(|method| (method, cast))
            .map_err(|e| e.to_string())
    };
    let (method, cast) = new(SharedHeadConfig::default()).unwrap();
    let weight = cast.store(ADAPTER).unwrap().find("linear.weight").unwrap();
    let shape = &cast.store(ADAPTER).unwrap().entry(weight).shape;
    assert_eq!(shape, &[12, 64]);
    assert!(method.stages(1)[0].acts[0].trains(ADAPTER));
    let refused = new(SharedHeadConfig {
        adapter: false,
        ..SharedHeadConfig::default()
    });
    let error = refused.unwrap_err();
    assert!(
        error.contains("reads 12 numbers, the student's embedding has 64"),
        "{error}"
    );
    let refused = new(SharedHeadConfig {
        initialise_head: true,
        ..SharedHeadConfig::default()
    });
    assert!(refused.unwrap_err().contains("initialise_head = false"));
}

#[test]
fn the_students_classifier_may_start_from_the_teachers() {
    let config = SharedHeadConfig {
        initialise_head: true,
        ..SharedHeadConfig::default()
    };
    let (mut method, mut cast) = make(config).unwrap();
    let mut interlude = Interlude {
        cast: &mut cast,
        teacher: None,
        held_out: None,
    };
    method.begin_stage(0, &mut interlude).unwrap();
    let own = Classifier::of(cast.network(STUDENT).unwrap()).unwrap();
    let head = network_probe().teacher_classifier.unwrap();
    assert_eq!(numbers(&own.weight), numbers(&head.weight));
    assert_eq!(numbers(&own.bias.unwrap()), numbers(&head.bias.unwrap()));
}

fn student_head(teacher_model: &str) -> SharedHeadConfig {
    SharedHeadConfig {
        form: SharedHeadForm::StudentHead,
        teacher_model: Some(teacher_model.to_owned()),
        forerunner_epochs: Some(2),
        ..SharedHeadConfig::default()
    }
}

#[test]
fn a_teacher_is_trained_under_the_forerunners_classifier() {
    let (mut method, mut cast) = make(student_head("resnet14")).unwrap();
    let stages = method.stages(3);
    let told: Vec<(&str, usize)> = stages.iter().map(|s| (s.name.as_str(), s.epochs)).collect();
    assert_eq!(told, [("forerunner", 2), ("teacher", 3), ("train", 3)]);
    assert_eq!(stages[1].acts[0].trains[0].fixed, ["fc.weight", "fc.bias"]);
    let weight = |cast: &Cast, member: &str| {
        let classifier = Classifier::of(cast.network(member).unwrap()).unwrap();
        numbers(&classifier.weight)
    };
    assert_ne!(weight(&cast, TEACHER), weight(&cast, FORERUNNER));
    let mut interlude = Interlude {
        cast: &mut cast,
        teacher: None,
        held_out: None,
    };
    method.begin_stage(1, &mut interlude).unwrap();
    assert_eq!(weight(&cast, TEACHER), weight(&cast, FORERUNNER));
    assert_ne!(weight(&cast, STUDENT), weight(&cast, FORERUNNER));
}

#[test]
fn networks_and_settings_that_do_not_fit_are_refused() {
    let error = |config| make(config).unwrap_err().to_string();
    let nobody = SharedHeadConfig {
        teacher_model: None,
        ..student_head("")
    };
    assert!(error(nobody).contains("`teacher_model` must be the zoo name"));
    assert!(error(student_head("resnet9000")).contains("resnet9000"));
    let wide = error(student_head("resnet8x4"));
    assert!(
        wide.contains("[5, 256] with a bias") && wide.contains("[5, 64]"),
        "{wide}"
    );

    let mut probe = network_probe();
    let new = |probe: &Probe| {
        let mut cast = Cast::new(network("resnet8", 1));
        let method = SharedHead::new(SharedHeadConfig::default(), probe, &mut cast);
        method.unwrap_err().to_string()
    };
    probe.teacher_classifier = Some(Classifier {
        weight: random("w", [6, 64]),
        bias: None,
    });
    let classes = new(&probe);
    assert!(
        classes.contains("of 6 classes") && classes.contains("the data has 5"),
        "{classes}"
    );
    probe.teacher_classifier = None;
    assert!(new(&probe).contains("does not end with a linear map"));
    probe.teacher = None;
    assert!(new(&probe).contains("--teacher"));

    let refused = |change: fn(&mut SharedHeadConfig), expected: &str| {
        let mut config = SharedHeadConfig::default();
        change(&mut config);
        let error = make(config).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    refused(
        |c| c.head_share = 1.5,
        "`head_share` must be a number from 0 to 1",
    );
    refused(|c| c.temperature = 0.0, "`temperature` must be");
    refused(|c| c.ce_weight = -1.0, "`ce_weight` must be");
    refused(|c| c.kd_weight = -1.0, "`kd_weight` must be");
    refused(|c| c.head_weight = f64::NAN, "`head_weight` must be");
    refused(|c| c.embedding_weight = -1.0, "`embedding_weight` must be");
    refused(
        |c| c.teacher_epochs = Some(0),
        "`teacher_epochs` must be at least 1",
    );
    refused(
        |c| c.forerunner_epochs = Some(0),
        "`forerunner_epochs` must be",
    );
}
