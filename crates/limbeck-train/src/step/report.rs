//! What a step showed: the terms of its acts, their shares, and how many images were right.

use std::collections::BTreeMap;

use burn::tensor::Tensor;
use limbeck_methods::{MethodError, Progress, Term};

use crate::TrainError;

/// What one batch showed.
#[derive(Clone, Debug, Default)]
pub struct StepReport {
    /// Total loss, of all acts together.
    pub loss: f64,
    /// Each term before its weight.
    pub terms: BTreeMap<String, f64>,
    /// Each term's weight.
    pub weights: BTreeMap<String, f64>,
    /// Each term's share of its act's loss: |weight · value| in percent of their sum.
    pub shares: BTreeMap<String, f64>,
    /// How many of the stage's student's predictions were right, and of how many, as far as that is
    /// known.
    pub correct: Option<[usize; 2]>,
    /// Images.
    pub images: usize,
    /// Learning rate of the first act that trains the stage's student, else of the first act.
    pub learning_rate: f64,
}

impl StepReport {
    /// Notes the terms of an act and gives their weighted sum, `None` if there are none.
    ///
    /// # Errors
    /// No terms, or a term that is not one finite number.
    pub(super) fn add(
        &mut self,
        method: &str,
        terms: Vec<Term>,
        run: Progress,
    ) -> Result<Option<Tensor<1>>, TrainError> {
        if terms.is_empty() {
            return Err(TrainError::Method(MethodError::NoTerms {
                method: method.to_owned(),
            }));
        }
        let not_finite = |term: &str, value: f64| TrainError::NotFinite {
            method: method.to_owned(),
            term: term.to_owned(),
            value,
            epoch: run.epoch + 1,
            step: run.step + 1,
        };
        let mut total: Option<Tensor<1>> = None;
        let mut sizes = Vec::new();
        for Term {
            name,
            value,
            weight,
        } in terms
        {
            let shape = value.dims();
            if shape != [1] {
                return Err(TrainError::Method(MethodError::TermShape {
                    method: method.to_owned(),
                    term: name,
                    found: shape.to_vec(),
                }));
            }
            let number = value.clone().into_scalar::<f64>();
            if !number.is_finite() {
                return Err(not_finite(&name, number));
            }
            self.terms.insert(name.clone(), number);
            self.weights.insert(name.clone(), weight);
            sizes.push((name, (weight * number).abs()));
            let weighted = value.mul_scalar(weight);
            total = Some(match total {
                Some(total) => total + weighted,
                None => weighted,
            });
        }
        let sum: f64 = sizes.iter().map(|(_, size)| size).sum();
        for (name, size) in sizes {
            let share = if sum > 0.0 { 100.0 * size / sum } else { 0.0 };
            self.shares.insert(name, share);
        }
        if let Some(total) = &total {
            let number = total.clone().into_scalar::<f64>();
            if !number.is_finite() {
                return Err(not_finite("the weighted sum", number));
            }
            self.loss += number;
        }
        Ok(total)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    fn term(name: &str, numbers: &[f32], weight: f64) -> Term {
        Term::new(name, Tensor::from_data(numbers, &Device::flex()), weight)
    }

    fn add(report: &mut StepReport, terms: Vec<Term>) -> Result<Option<Tensor<1>>, TrainError> {
        let run = Progress {
            epoch: 1,
            epochs: 3,
            step: 4,
            steps: 9,
        };
        report.add("own", terms, run)
    }

    #[test]
    fn terms_are_added_in_their_weights_and_shares_are_of_the_act() {
        let mut report = StepReport::default();
        let terms = vec![term("a", &[2.0], 0.5), term("b", &[-1.0], 3.0)];
        add(&mut report, terms).unwrap();
        assert_eq!(report.loss, -2.0);
        assert_eq!(report.terms["b"], -1.0);
        assert_eq!(report.shares["a"], 25.0);
        add(&mut report, vec![term("c", &[4.0], 1.0)]).unwrap();
        assert_eq!(report.loss, 2.0);
        assert_eq!((report.shares["a"], report.shares["c"]), (25.0, 100.0));
    }

    #[test]
    fn what_a_method_gives_amiss_is_told_with_its_name_and_the_terms() {
        let told = |terms| {
            add(&mut StepReport::default(), terms)
                .unwrap_err()
                .to_string()
        };
        let error = told(Vec::new());
        assert!(error.contains("`own` gave no loss term"), "{error}");
        let error = told(vec![term("a", &[1.0], 1.0), term("b", &[1.0, 2.0], 1.0)]);
        assert!(error.contains("`own`") && error.contains("`b`"), "{error}");
        assert!(error.contains("found [2]"), "{error}");
        let error = told(vec![term("a", &[f32::NAN], 1.0)]);
        assert!(error.contains("`own`") && error.contains("`a`"), "{error}");
        assert!(error.contains("epoch 2, step 5"), "{error}");
        let error = told(vec![term("a", &[], 1.0)]);
        assert!(error.contains("found [0]"), "{error}");
    }
}
