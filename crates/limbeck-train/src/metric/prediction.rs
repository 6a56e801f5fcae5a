//! What the logits of one image say.

/// What the logits of one image say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prediction {
    /// The class with the greatest logit, the first of equals; `None` where the logits are no
    /// distribution.
    pub class: Option<usize>,
    /// Probability of that class, 0..1; 0 where there is none.
    pub confidence: f64,
    /// ln Σ exp(logit); NaN where there is no class.
    log_sum_exp: f64,
}

impl Prediction {
    /// Reads `logits` `[K]`, before any softmax.
    pub fn read(logits: &[f32]) -> Self {
        let none = Self {
            class: None,
            confidence: 0.0,
            log_sum_exp: f64::NAN,
        };
        if logits.iter().any(|logit| logit.is_nan()) {
            return none;
        }
        let mut class = 0;
        for (index, &logit) in logits.iter().enumerate() {
            if logit > logits[class] {
                class = index;
            }
        }
        let Some(greatest) = logits.get(class).filter(|logit| logit.is_finite()) else {
            return none;
        };
        let greatest = f64::from(*greatest);
        let sum: f64 = logits
            .iter()
            .map(|&logit| (f64::from(logit) - greatest).exp())
            .sum();
        Self {
            class: Some(class),
            confidence: 1.0 / sum,
            log_sum_exp: greatest + sum.ln(),
        }
    }

    /// Cross entropy with the class `label`, in nats: −ln of its probability.
    pub fn loss(&self, logits: &[f32], label: usize) -> f64 {
        logits
            .get(label)
            .map_or(f64::NAN, |&logit| self.log_sum_exp - f64::from(logit))
    }

    /// Whether `label` is among the `k` most probable classes; of equals the first count first.
    pub fn is_among(&self, logits: &[f32], label: usize, k: usize) -> bool {
        let Some(&own) = logits.get(label).filter(|_| self.class.is_some()) else {
            return false;
        };
        let before = logits
            .iter()
            .enumerate()
            .filter(|&(index, &logit)| logit > own || (logit == own && index < label))
            .count();
        before < k
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_equal_logits_the_first_is_chosen() {
        let logits = [1.0, 3.0, 3.0, 0.0];
        let prediction = Prediction::read(&logits);
        assert_eq!(prediction.class, Some(1));
        assert!(prediction.is_among(&logits, 1, 1));
        assert!(!prediction.is_among(&logits, 2, 1));
        assert!(prediction.is_among(&logits, 2, 2));
    }

    #[test]
    fn confidence_and_loss_are_those_of_the_softmax() {
        let logits = [0.0, 3.0_f32.ln()];
        let prediction = Prediction::read(&logits);
        assert!((prediction.confidence - 0.75).abs() < 1e-7);
        assert!((prediction.loss(&logits, 0) - 4.0_f64.ln()).abs() < 1e-7);
    }

    #[test]
    fn logits_that_are_no_distribution_choose_nothing() {
        for logits in [
            vec![f32::NAN, 1.0],
            vec![1.0, f32::NAN],
            vec![f32::INFINITY, 1.0],
            vec![f32::NEG_INFINITY; 2],
            vec![],
        ] {
            let prediction = Prediction::read(&logits);
            assert_eq!((prediction.class, prediction.confidence), (None, 0.0));
            assert!(!prediction.is_among(&logits, 0, 5));
            assert!(prediction.loss(&logits, 0).is_nan());
        }
    }

    #[test]
    fn a_class_that_is_ruled_out_has_probability_zero() {
        let logits = [f32::NEG_INFINITY, 1.0];
        let prediction = Prediction::read(&logits);
        assert_eq!((prediction.class, prediction.confidence), (Some(1), 1.0));
        assert_eq!(prediction.loss(&logits, 0), f64::INFINITY);
    }

    #[test]
    fn great_logits_do_not_overflow() {
        let logits = [f32::MAX, f32::MIN];
        let prediction = Prediction::read(&logits);
        assert_eq!(prediction.loss(&logits, 0), 0.0);
        assert!(prediction.loss(&logits, 1).is_finite());
    }
}
