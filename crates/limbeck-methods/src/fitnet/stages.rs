//! The paper's two stages: hints for the lower part, then distillation of the whole.

use limbeck_nn::Taps;

use super::{FitNet, FitNetConfig};
use crate::{
    Act, Cast, Criterion, MethodError, OptimizerChange, Probe, Procedure, Questions, STUDENT,
    Scene, Stage, Term, connector::mean_squared_error, softmax::softened_kl,
};

/// The regressor in the cast.
const REGRESSOR: &str = "regressor";

/// FitNet in two stages.
#[derive(Debug)]
pub struct FitNetStages {
    config: FitNetConfig,
    hint: FitNet,
}

impl FitNetStages {
    /// Adds the regressor; `None` where the settings ask for one stage.
    ///
    /// # Errors
    /// As [`FitNet::new`].
    pub fn new(
        config: FitNetConfig,
        probe: &Probe,
        cast: &mut Cast,
    ) -> Result<Option<Self>, MethodError> {
        if config.hint_share == 0.0 {
            return Ok(None);
        }
        let hint = cast.add_modules(REGRESSOR, probe.seed, |builder| {
            FitNet::assemble(config.clone(), probe, builder)
        })?;
        Ok(Some(Self { config, hint }))
    }

    /// Epochs of the hint: its share, with at least one left for either where there are two.
    fn hint_epochs(&self, epochs: usize) -> usize {
        let share = (self.config.hint_share * epochs as f64).round() as usize;
        share.max(1).min(epochs.saturating_sub(1))
    }
}

impl Procedure for FitNetStages {
    fn stages(&self, epochs: usize) -> Vec<Stage> {
        let hint = self.hint_epochs(epochs);
        let distil = Act {
            optimizer: OptimizerChange {
                fresh: true,
                ..OptimizerChange::default()
            },
            ..Act::training([STUDENT])
        };
        vec![
            Stage::new("hint", hint, vec![Act::training([STUDENT, REGRESSOR])]),
            Stage::new("distil", epochs - hint, vec![distil]),
        ]
    }

    fn play(
        &mut self,
        stage: usize,
        _act: usize,
        scene: &mut Scene<'_>,
    ) -> Result<Vec<Term>, MethodError> {
        let images = scene.batch().images.clone();
        if stage == 0 {
            let needs = self.hint.needs();
            let teacher = scene.teacher_of_batch(FitNet::ID, &needs.teacher)?;
            let student = scene.train(STUDENT, images, &needs.student)?;
            let target = self.hint.pair.teacher_map(FitNet::ID, &teacher.detach())?;
            let map = self.hint.pair.student_map(FitNet::ID, &student)?;
            let map = scene.modules(REGRESSOR, |pass| self.hint.regress(pass, map))?;
            let value = mean_squared_error(map, target);
            return Ok(vec![Term::new("hint", value, self.config.weight)]);
        }
        let teacher = scene.teacher_of_batch(FitNet::ID, &Taps::none())?;
        let student = scene.train(STUDENT, images, &Taps::none())?;
        let (own, others) = scene.rows(FitNet::ID, &student, &teacher)?;
        let kd = softened_kl(own, others, self.config.temperature);
        let mut terms = scene.supervise(&student, self.config.ce_weight)?;
        terms.push(Term::new("kd", kd, self.config.kd_weight));
        Ok(terms)
    }

    fn questions(&self) -> Questions {
        Questions {
            taps: self.hint.needs().teacher,
            // The second stage distils them.
            logits: true,
            beyond: None,
        }
    }

    fn pairs(&self) -> Vec<(String, String)> {
        self.hint.pairs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Batch, Classification, Progress, Setting, Teacher, cast,
        testing::{INPUT, POSITIONS, network, network_probe, random, target},
    };
    use burn::tensor::Tensor;
    use limbeck_nn::{Network, Outputs, Tap};
    use serde_json::json;

    struct Frozen(Network);

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

    fn make(share: f64) -> Result<(Box<dyn Procedure>, Cast), MethodError> {
        let settings = [("fitnet".to_owned(), json!({ "hint_share": share }))].into();
        cast("fitnet", &settings, &network_probe(), network("resnet8", 1))
    }

    /// Names of the student's tensors that get a gradient in a stage, and the names of its terms.
    fn learning(stage: usize) -> (Vec<String>, Vec<String>) {
        let (mut procedure, cast) = make(0.3).unwrap();
        let shape = [4, INPUT.channels, INPUT.height, INPUT.width];
        let batch = Batch::new(
            random("images", shape),
            target(&[0, 1, 2, 3]),
            POSITIONS[..4].to_vec(),
        );
        let progress = Progress {
            epoch: 0,
            epochs: 10,
            step: 0,
            steps: 1,
        };
        let stages = procedure.stages(10);
        let teacher = Frozen(network("resnet14", 2));
        let mut scene = Scene::new(Setting {
            cast: &cast,
            act: &stages[stage].acts[0],
            batch: &batch,
            teacher: Some(&teacher),
            stage: progress,
            run: progress,
            task: &Classification::PLAIN,
            seed: 7,
        });
        let terms = procedure.play(stage, 0, &mut scene).unwrap();
        let played = scene.finish();
        let names = terms.iter().map(|term| term.name.clone()).collect();
        let total = terms.into_iter().map(|term| term.value);
        let mut gradients = total.reduce(|a, b| a + b).unwrap().backward();
        let store = &played.tracked[STUDENT];
        let found = store.gradients(&mut gradients);
        let learning = store.entries().iter().zip(found);
        let learning = learning.filter(|(_, gradient)| gradient.is_some());
        (
            learning.map(|(entry, _)| entry.name.clone()).collect(),
            names,
        )
    }

    #[test]
    fn the_hint_teaches_the_lower_part_alone_and_the_second_stage_all_of_it() {
        let (lower, terms) = learning(0);
        assert_eq!(terms, ["hint"]);
        assert!(lower.iter().any(|name| name.starts_with("layer2.")));
        let above = |name: &&String| name.starts_with("layer3.") || name.starts_with("fc");
        assert!(!lower.iter().any(|name| above(&name)), "{lower:?}");
        let (all, terms) = learning(1);
        assert_eq!(terms, ["task", "kd"]);
        assert!(all.iter().any(|name| name.starts_with("layer3.")));
        assert!(all.len() > lower.len());
    }

    #[test]
    fn the_share_is_that_of_the_epochs_and_both_stages_have_some() {
        let epochs = |share: f64, all| -> Vec<usize> {
            let (procedure, _) = make(share).unwrap();
            let stages = procedure.stages(all);
            stages.iter().map(|stage| stage.epochs).collect()
        };
        assert_eq!(epochs(0.25, 240), [60, 180]);
        assert_eq!(epochs(0.01, 10), [1, 9]);
        assert_eq!(epochs(0.99, 10), [9, 1]);
        assert_eq!(epochs(0.5, 1), [0, 1]);
        assert_eq!(epochs(0.0, 10), [10]);
    }

    #[test]
    fn the_layers_that_are_compared_are_those_of_one_stage() {
        let pairs = |share| make(share).unwrap().0.pairs();
        assert_eq!(pairs(0.5), pairs(0.0));
    }

    #[test]
    fn two_stages_cannot_be_joined_and_shares_beyond_the_run_are_refused() {
        let settings = [("fitnet".to_owned(), json!({ "hint_share": 0.5 }))].into();
        let probe = network_probe();
        let error = cast("fitnet+kd", &settings, &probe, network("resnet8", 1));
        let error = error.map(drop).unwrap_err().to_string();
        assert!(error.contains("`hint_share` must be 0"), "{error}");
        for share in [-0.1, 1.0, f64::NAN] {
            let config = FitNetConfig {
                hint_share: share,
                ..FitNetConfig::default()
            };
            let mut cast = Cast::new(network("resnet8", 1));
            let error = FitNetStages::new(config, &probe, &mut cast).unwrap_err();
            assert!(error.to_string().contains("`hint_share` must be"));
        }
    }
}
