//! The mixture of several networks' logits that fits the labels best.

/// Newton steps at most; a handful is usual.
const STEPS: usize = 100;
/// Pairwise steps within one Newton step at most.
const PAIR_STEPS: usize = 10_000;
/// How much the mean cross entropy may still be above the least, for the search to end.
const CLOSE: f64 = 1e-13;

/// Logits of several networks for the same images, with their labels.
#[derive(Clone, Debug)]
pub struct Problem<'a> {
    /// Of each network, `[N, K]` row by row.
    pub logits: Vec<&'a [f64]>,
    /// `[N]`, each below K.
    pub labels: &'a [usize],
    /// K.
    pub classes: usize,
}

/// Shares of the networks.
#[derive(Clone, Debug, PartialEq)]
pub struct Mixture {
    /// At least 0, sum 1.
    pub shares: Vec<f64>,
    /// A bound on how far the mean cross entropy is above the least that any shares reach.
    pub gap: f64,
}

impl Mixture {
    /// Whether the search ended at the least value, and not for want of steps.
    pub fn is_close(&self) -> bool {
        self.gap <= 1e-6
    }
}

/// Value, gradient and second derivatives of the mean cross entropy of the mixture.
struct Local {
    value: f64,
    gradient: Vec<f64>,
    /// `[M, M]`.
    hessian: Vec<Vec<f64>>,
}

impl Problem<'_> {
    /// The shares that make the mean cross entropy of the mixed logits least, from equal shares on
    /// by Newton's method within the simplex: each step goes towards the minimum of the quadratic
    /// model there and is halved until the value falls. The problem is convex.
    pub fn solve(&self) -> Mixture {
        let networks = self.logits.len();
        let mut shares = vec![1.0 / networks as f64; networks];
        let mut local = self.local(&shares);
        for _ in 0..STEPS {
            if gap(&shares, &local) <= CLOSE {
                break;
            }
            let goal = quadratic_minimum(&shares, &local);
            let Some((next, found)) = self.towards(&shares, &goal, &local) else {
                break;
            };
            (shares, local) = (next, found);
        }
        Mixture {
            gap: gap(&shares, &local),
            shares,
        }
    }

    /// A point on the way from `shares` to `goal` that is better: with a smaller value, or where
    /// rounding hides that, with a smaller gap. `None` where there is none.
    fn towards(&self, shares: &[f64], goal: &[f64], local: &Local) -> Option<(Vec<f64>, Local)> {
        let mut part = 1.0;
        let rounding = 1e-14 * local.value.abs();
        for _ in 0..40 {
            let mix = |(from, to): (&f64, &f64)| from + part * (to - from);
            let next: Vec<f64> = shares.iter().zip(goal).map(mix).collect();
            let found = self.local(&next);
            let hidden = (found.value - local.value).abs() <= rounding;
            let better = match hidden {
                true => gap(&next, &found) < gap(shares, local),
                false => found.value < local.value,
            };
            if better {
                return Some((next, found));
            }
            part /= 2.0;
        }
        None
    }

    fn local(&self, shares: &[f64]) -> Local {
        let networks = shares.len();
        let mut value = 0.0;
        let mut gradient = vec![0.0; networks];
        let mut hessian = vec![vec![0.0; networks]; networks];
        let mut mixed = vec![0.0; self.classes];
        for (image, &label) in self.labels.iter().enumerate() {
            let row =
                |network: usize| &self.logits[network][image * self.classes..][..self.classes];
            mixed.fill(0.0);
            for (network, &share) in shares.iter().enumerate() {
                for (sum, z) in mixed.iter_mut().zip(row(network)) {
                    *sum += share * z;
                }
            }
            let greatest = mixed.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let own = mixed[label] - greatest;
            mixed.iter_mut().for_each(|z| *z = (*z - greatest).exp());
            let sum: f64 = mixed.iter().sum();
            value += sum.ln() - own;
            mixed.iter_mut().for_each(|p| *p /= sum);
            let expected = |i: usize| mixed.iter().zip(row(i)).map(|(p, z)| p * z).sum::<f64>();
            let means: Vec<f64> = (0..networks).map(expected).collect();
            for (i, products) in hessian.iter_mut().enumerate() {
                gradient[i] += means[i] - row(i)[label];
                for (j, sum) in products.iter_mut().enumerate() {
                    let pairs = row(i).iter().zip(row(j)).zip(&mixed);
                    let product =
                        |((a, b), p): ((&f64, &f64), &f64)| p * (a - means[i]) * (b - means[j]);
                    *sum += pairs.map(product).sum::<f64>();
                }
            }
        }
        let scale = 1.0 / self.labels.len() as f64;
        for value in hessian.iter_mut().flatten().chain(&mut gradient) {
            *value *= scale;
        }
        Local {
            value: value * scale,
            gradient,
            hessian,
        }
    }
}

/// Frank and Wolfe's bound: a convex function is at most so much above its least value.
fn gap(shares: &[f64], local: &Local) -> f64 {
    let here: f64 = shares.iter().zip(&local.gradient).map(|(a, g)| a * g).sum();
    let least = local.gradient.iter().copied().fold(f64::INFINITY, f64::min);
    here - least
}

/// The minimum of the quadratic model around `shares` within the simplex: shares are moved between
/// the two networks between which that helps most, as far as it helps.
fn quadratic_minimum(shares: &[f64], local: &Local) -> Vec<f64> {
    let mut goal = shares.to_vec();
    let mut slope = local.gradient.clone();
    for _ in 0..PAIR_STEPS {
        let (mut from, mut to) = (None, 0);
        for (i, &s) in slope.iter().enumerate() {
            if goal[i] > 0.0 && from.is_none_or(|f: usize| s > slope[f]) {
                from = Some(i);
            }
            if s < slope[to] {
                to = i;
            }
        }
        let Some(from) = from else { break };
        let gain = slope[from] - slope[to];
        if gain <= 1e-3 * CLOSE {
            break;
        }
        let h = &local.hessian;
        let curvature = h[from][from] + h[to][to] - 2.0 * h[from][to];
        let wanted = match curvature > 0.0 {
            true => gain / curvature,
            false => f64::INFINITY,
        };
        let moved = wanted.min(goal[from]);
        goal[from] = if moved == goal[from] {
            0.0
        } else {
            goal[from] - moved
        };
        goal[to] += moved;
        for (i, s) in slope.iter_mut().enumerate() {
            *s += moved * (h[i][to] - h[i][from]);
        }
    }
    goal
}

#[cfg(test)]
mod tests {
    use limbeck_nn::Init;

    use super::*;

    fn draw(name: &str, count: usize) -> Vec<f64> {
        Init::Normal(2.0).draw(3, name, count)
    }

    /// Networks whose logits lean towards the labels, the later ones more.
    fn networks(count: usize, labels: &[usize], classes: usize) -> Vec<Vec<f64>> {
        (0..count)
            .map(|network| {
                let mut logits = draw(&format!("network {network}"), labels.len() * classes);
                for (image, label) in labels.iter().enumerate() {
                    logits[image * classes + label] += 0.5 * network as f64;
                }
                logits
            })
            .collect()
    }

    #[test]
    fn no_other_shares_are_better() {
        let labels = [0, 3, 2, 1, 1, 0, 2];
        for count in 2..6 {
            let logits = networks(count, &labels, 4);
            let problem = Problem {
                logits: logits.iter().map(Vec::as_slice).collect(),
                labels: &labels,
                classes: 4,
            };
            let found = problem.solve();
            assert!(found.gap <= 1e-12, "{found:?}");
            assert!((found.shares.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            assert!(found.shares.iter().all(|&share| share >= 0.0));
            let least = problem.local(&found.shares).value;
            for trial in 0..200 {
                let raw = Init::Uniform(1.0).draw(trial, "shares", count);
                let sum: f64 = raw.iter().map(|x| x.abs()).sum();
                let shares: Vec<f64> = raw.iter().map(|x| x.abs() / sum).collect();
                assert!(problem.local(&shares).value >= least - 1e-12);
            }
            for i in 0..count {
                let mut corner = vec![0.0; count];
                corner[i] = 1.0;
                assert!(problem.local(&corner).value >= least - 1e-12);
            }
        }
    }

    #[test]
    fn equal_networks_get_equal_shares_and_the_better_of_two_gets_all() {
        let labels = [0, 1];
        let alike = [1.0, -2.0, 0.5, 3.0, 0.0, 1.0];
        let problem = |second| Problem {
            logits: vec![&alike, second],
            labels: &labels,
            classes: 3,
        };
        assert_eq!(problem(&alike).solve().shares, [0.5, 0.5]);
        let right = [2.0, -2.0, 0.5, 3.0, 4.0, 1.0];
        let found = problem(&right).solve();
        assert_eq!(found.shares, [0.0, 1.0]);
    }

    #[test]
    fn great_logits_are_no_trouble() {
        let labels = [0, 1];
        let (a, b) = ([1e4, -1e4, -1e4, 1e4], [-1e4, 1e4, 1e4, -1e4]);
        let problem = Problem {
            logits: vec![&a, &b],
            labels: &labels,
            classes: 2,
        };
        let found = problem.solve();
        assert!(
            found.shares.iter().all(|share| share.is_finite()),
            "{found:?}"
        );
        assert!(found.is_close());
    }
}
