//! Groups of layers that represent alike, each with a layer as its centre.

use serde::{Deserialize, Serialize};

/// How a group finds its new centre.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CentreRule {
    /// The member whose place is nearest to the mean of the members' places.
    #[default]
    NearestPlace,
    /// The member with the smallest sum of distances to the others.
    Medoid,
}

/// Layers in groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerClusters {
    /// The groups' centres, ascending.
    pub centres: Vec<usize>,
    /// The group of each layer; groups are numbered from shallow to deep as they began.
    pub assignment: Vec<usize>,
    /// Whether another round would change nothing.
    pub converged: bool,
}

/// Rounds after which what stands is taken.
pub const USUAL_ROUNDS: usize = 80;

/// Groups L layers by their `distances` `[L, L]` into `count` groups (1 to L), in at most `rounds`
/// rounds: each layer goes to the nearest centre, then each group finds its new one. Centres begin
/// spread evenly over the depth; a group that loses all layers keeps its centre.
pub fn cluster_layers(
    distances: &[Vec<f64>],
    count: usize,
    rule: CentreRule,
    rounds: usize,
) -> LayerClusters {
    let layers = distances.len();
    let mut centres: Vec<usize> = match count {
        1 => vec![layers.saturating_sub(1) / 2],
        _ => (0..count).map(|t| t * (layers - 1) / (count - 1)).collect(),
    };
    let mut assignment = vec![0; layers];
    let mut converged = false;
    for _ in 0..rounds {
        for (layer, group) in assignment.iter_mut().enumerate() {
            let distance = |t: usize| distances[layer][centres[t]];
            *group = first_least(0..count, distance).unwrap_or(0);
        }
        let new: Vec<usize> = (0..count)
            .map(|t| {
                let members: Vec<usize> = (0..layers).filter(|&i| assignment[i] == t).collect();
                new_centre(distances, &members, rule).unwrap_or(centres[t])
            })
            .collect();
        converged = new == centres;
        if converged {
            break;
        }
        centres = new;
    }
    centres.sort_unstable();
    LayerClusters {
        centres,
        assignment,
        converged,
    }
}

fn new_centre(distances: &[Vec<f64>], members: &[usize], rule: CentreRule) -> Option<usize> {
    if members.is_empty() {
        return None;
    }
    let mean = members.iter().sum::<usize>() / members.len();
    first_least(members.iter().copied(), |member| match rule {
        CentreRule::NearestPlace => member.abs_diff(mean) as f64,
        CentreRule::Medoid => members.iter().map(|&other| distances[member][other]).sum(),
    })
}

/// The first of those with the smallest value.
fn first_least(
    candidates: impl Iterator<Item = usize>,
    value: impl Fn(usize) -> f64,
) -> Option<usize> {
    candidates.min_by(|&a, &b| value(a).total_cmp(&value(b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Distances 0.1 within blocks of these sizes, 0.9 between them.
    fn planted(sizes: &[usize]) -> Vec<Vec<f64>> {
        let blocks = sizes.iter().enumerate();
        let of: Vec<usize> = blocks.flat_map(|(b, &n)| vec![b; n]).collect();
        let distance = |i: usize, j: usize| match () {
            () if i == j => 0.0,
            () if of[i] == of[j] => 0.1,
            () => 0.9,
        };
        (0..of.len())
            .map(|i| (0..of.len()).map(|j| distance(i, j)).collect())
            .collect()
    }

    #[test]
    fn planted_blocks_are_found_by_both_rules() {
        for rule in [CentreRule::NearestPlace, CentreRule::Medoid] {
            let found = cluster_layers(&planted(&[4, 2, 3]), 3, rule, USUAL_ROUNDS);
            assert_eq!(found.assignment, [0, 0, 0, 0, 1, 1, 2, 2, 2]);
            assert!(found.converged);
        }
        let found = cluster_layers(&planted(&[4, 2, 3]), 3, CentreRule::NearestPlace, 80);
        assert_eq!(found.centres, [1, 4, 7]);
    }

    #[test]
    fn as_many_groups_as_layers_gives_every_layer() {
        let found = cluster_layers(&planted(&[2, 2]), 4, CentreRule::NearestPlace, 80);
        assert_eq!(found.centres, [0, 1, 2, 3]);
    }

    #[test]
    fn one_group_has_the_middle_layer() {
        let found = cluster_layers(&planted(&[5]), 1, CentreRule::NearestPlace, 80);
        assert_eq!(
            (found.centres.as_slice(), found.assignment.len()),
            (&[2][..], 5)
        );
    }

    #[test]
    fn equal_layers_are_in_one_group_and_an_empty_one_keeps_its_centre() {
        let distances = vec![vec![0.0; 5]; 5];
        let found = cluster_layers(&distances, 3, CentreRule::NearestPlace, 80);
        assert_eq!(found.assignment, [0; 5]);
        assert!(found.centres.contains(&4));
    }

    #[test]
    fn rounds_are_bounded() {
        let found = cluster_layers(&planted(&[7, 1, 1]), 3, CentreRule::NearestPlace, 1);
        assert!(!found.converged);
    }
}
