//! Laws of the losses, the stages and the settings.

use super::*;
use crate::{
    Batch, HeldOut,
    softmax::softened_kl,
    testing::{
        INPUT, POSITIONS, assert_close, gradient, leaf, network, network_probe, number, numbers,
        random, target, tensor,
    },
};

fn make(config: WtakdConfig) -> Result<(Wtakd, Cast), MethodError> {
    let mut cast = Cast::new(network("resnet8", 1));
    let method = Wtakd::new(config, &network_probe(), &mut cast)?;
    Ok((method, cast))
}

fn with(change: impl FnOnce(&mut WtakdConfig)) -> Wtakd {
    let mut config = WtakdConfig::default();
    change(&mut config);
    make(config).unwrap().0
}

#[test]
fn an_average_is_a_distribution_and_one_assistant_is_its_own() {
    let logits = ["a", "b", "c"].map(|name| random(name, [4, 5]));
    let weights = tensor(vec![0.5, 0.2, 0.3], [3]);
    for average in [AssistantAverage::Probabilities, AssistantAverage::Logits] {
        let method = with(|config| config.average = average);
        let target = method.average(&logits, &weights).unwrap();
        assert_close(&numbers(&target.sum_dim(1)), &[1.0; 4]);
        let single = method
            .average(&logits[..1], &tensor(vec![1.0], [1]))
            .unwrap();
        assert_close(&numbers(&single), &numbers(&method.soften(&logits[0])));
        let error = method.average(&logits[..2], &weights).unwrap_err();
        assert!(error.to_string().contains("found 2 and 3"), "{error}");
        assert!(method.average(&[], &weights).is_err());
    }
}

#[test]
fn a_student_that_predicts_the_target_costs_nothing() {
    let method = with(|config| config.temperature = 2.0);
    let logits = ["a", "b"].map(|name| random(name, [4, 5]));
    let target = method
        .average(&logits, &tensor(vec![0.3, 0.7], [2]))
        .unwrap();
    let student = target.clone().log().mul_scalar(2.0);
    assert_close(&[number(&method.divergence(&student, target))], &[0.0]);
}

#[test]
fn the_divergence_is_that_of_kd_and_the_element_mean_is_k_times_smaller() {
    let [student, teacher] = ["a", "b"].map(|name| random(name, [4, 5]));
    let expected = number(&softened_kl(student.clone(), teacher.clone(), 5.0)) / 25.0;
    let of = |method: &Wtakd| number(&method.divergence(&student, method.soften(&teacher)));
    assert_close(&[of(&with(|_| ()))], &[expected]);
    let mean = with(|config| config.kl_reduction = KlReduction::Mean);
    assert_close(&[of(&mean)], &[expected / 5.0]);
}

#[test]
fn a_certain_target_gives_a_finite_divergence_and_no_gradient_reaches_the_assistants() {
    let method = with(|config| config.temperature = 1.0);
    let student = leaf(random("s", [2, 3]));
    let assistant = leaf(tensor(vec![2000.0, 0.0, 0.0, 0.0, 2000.0, 0.0], [2, 3]));
    let target = method.soften(&assistant);
    let value = method.divergence(&student, target);
    assert!(number(&value.clone().inner()).is_finite());
    let gradients = value.backward();
    let found = gradient(&student, &gradients).unwrap();
    assert!(found.iter().all(|number| number.is_finite()));
    assert!(gradient(&assistant, &gradients).is_none());
}

#[test]
fn without_divergence_there_is_the_supervised_loss_alone() {
    let method = with(|config| config.kd_weight = 0.0);
    assert_eq!(method.factor(), 0.0);
    let method = with(|config| config.kd_weight = 1.0);
    assert_eq!(method.factor(), 25.0);
}

fn described(method: &Wtakd) -> Vec<(bool, Vec<String>)> {
    (0..=method.assistants.len())
        .map(|stage| {
            let (teacher, assistants) = method.sources(stage);
            (teacher, assistants.to_vec())
        })
        .collect()
}

#[test]
fn each_form_has_its_own_sources() {
    let of = |form| {
        described(&with(|config| {
            config.form = form;
            config.assistants = Some("resnet14 + resnet8".to_owned());
        }))
    };
    let one = || vec!["assistant1".to_owned()];
    let two = || vec!["assistant2".to_owned()];
    let both = || [one(), two()].concat();
    assert_eq!(
        of(AssistantForm::Weighted),
        [(true, vec![]), (true, vec![]), (false, both())]
    );
    assert_eq!(
        of(AssistantForm::Chain),
        [(true, vec![]), (false, one()), (false, two())]
    );
    assert_eq!(
        of(AssistantForm::Dense),
        [(true, vec![]), (true, one()), (true, both())]
    );
}

#[test]
fn one_assistant_needs_no_held_out_images_and_gets_all_the_weight() {
    let mut method = with(|config| config.assistants = Some("resnet8".to_owned()));
    assert_eq!(method.held_out(), 0.0);
    let (_, mut cast) = make(WtakdConfig::default()).unwrap();
    let mut interlude = Interlude {
        cast: &mut cast,
        teacher: None,
        held_out: None,
    };
    method.begin_stage(1, &mut interlude).unwrap();
    assert_eq!(numbers(&method.weights), [1.0]);
}

/// Held-out images, or none.
struct Images(usize);

impl HeldOut for Images {
    fn look(
        &self,
        look: &mut dyn FnMut(&Batch) -> Result<(), MethodError>,
    ) -> Result<(), MethodError> {
        for batch in 0..self.0 {
            look(&Batch::new(
                random(
                    &format!("held out {batch}"),
                    [4, INPUT.channels, INPUT.height, INPUT.width],
                ),
                target(&[0, 1, 2, 3]),
                POSITIONS[..4].to_vec(),
            ))?;
        }
        Ok(())
    }
}

#[test]
fn weights_are_found_once_the_student_begins_and_come_back_from_a_checkpoint() {
    let (mut method, mut cast) = make(WtakdConfig::default()).unwrap();
    assert_eq!(method.held_out(), 0.1);
    let begin = |method: &mut Wtakd, cast: &mut Cast, stage, images| {
        let mut interlude = Interlude {
            cast,
            teacher: None,
            held_out: Some(&Images(images)),
        };
        method.begin_stage(stage, &mut interlude)
    };
    begin(&mut method, &mut cast, 0, 2).unwrap();
    assert_eq!(numbers(&method.weights), [0.5, 0.5]);
    begin(&mut method, &mut cast, 2, 2).unwrap();
    let weights = numbers(&method.weights);
    assert_close(&[weights.iter().sum()], &[1.0]);
    let (mut other, _) = make(WtakdConfig::default()).unwrap();
    other.load_state(method.state()).unwrap();
    assert_eq!(numbers(&other.weights), weights);

    let error = begin(&mut other, &mut cast, 2, 0).unwrap_err().to_string();
    assert!(error.contains("raise `held_out`"), "{error}");
    let mut single = with(|config| config.assistants = Some("resnet8".to_owned()));
    let error = single.load_state(method.state()).unwrap_err().to_string();
    assert!(error.contains("expected weights [1]"), "{error}");
}

#[test]
fn unfit_settings_are_refused() {
    let refused = |change: fn(&mut WtakdConfig)| {
        let mut config = WtakdConfig::default();
        change(&mut config);
        make(config).unwrap_err().to_string()
    };
    for (change, words) in [
        (
            (|c| c.temperature = 0.0) as fn(&mut WtakdConfig),
            "`temperature` must be",
        ),
        (|c| c.kd_weight = 1.1, "`kd_weight` must be"),
        (|c| c.kd_weight = f64::NAN, "`kd_weight` must be"),
        (|c| c.crossover = -0.1, "`crossover` must be"),
        (|c| c.mutation = 0.0, "`mutation` must be"),
        (|c| c.mutation = 2.5, "`mutation` must be"),
        (|c| c.held_out = 0.0, "`held_out` must be"),
        (
            |c| c.population = Some(3),
            "`population` must be at least 4",
        ),
        (|c| c.assistant_epochs = Some(0), "`assistant_epochs` must"),
        (|c| c.assistants = Some(String::new()), "`assistants` must"),
        (
            |c| c.assistants = Some("resnet8+".to_owned()),
            "`assistants`",
        ),
        (|c| c.assistants = Some("resnet9".to_owned()), "resnet9"),
    ] {
        let error = refused(change);
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn assistants_have_stages_of_their_own_before_the_student() {
    let method = with(|config| config.assistant_epochs = Some(2));
    let stages = method.stages(7);
    let found: Vec<(&str, usize, bool)> = stages
        .iter()
        .map(|stage| (stage.student.as_str(), stage.epochs, stage.keeps_best))
        .collect();
    assert_eq!(
        found,
        [
            ("assistant1", 2, true),
            ("assistant2", 2, true),
            ("student", 7, false)
        ]
    );
}
