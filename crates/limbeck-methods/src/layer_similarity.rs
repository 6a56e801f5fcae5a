//! How alike what two layers represent is, seen over the same images.
//!
//! All of it is computed on the CPU in double precision: it is done once for a teacher.

use burn::tensor::{DType, Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::orthonormal::orthonormal_basis;

/// Most images that an N×N kernel is made of.
const KERNEL_IMAGES: usize = 1000;

/// What two layers' representations are compared by (Kornblith, Norouzi, Lee, Hinton. "Similarity
/// of Neural Network Representations Revisited". ICML 2019).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LayerSimilarity {
    /// Share of the one's span that is in the other's: R²_CCA.
    #[default]
    R2,
    /// Centred kernel alignment of products.
    CkaLinear,
    /// Centred kernel alignment of Gaussian kernels.
    CkaRbf,
}

/// What one layer gives out for N images: the mean over positions of each of its C channels.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerRepresentation {
    /// Number of images.
    pub images: usize,
    /// Number of channels.
    pub channels: usize,
    /// `[N, C]`, row by row.
    pub numbers: Vec<f64>,
}

/// How distances are computed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SimilaritySettings {
    /// By what layers are compared.
    pub similarity: LayerSimilarity,
    /// Whether R² takes the channels' means off first.
    pub center: bool,
    /// Width of the Gaussian kernel, in roots of the median squared distance.
    pub rbf_threshold: f64,
}

/// `1 − similarity` of all layers with all: `[L, L]`, symmetric, about 0 on the diagonal. A layer
/// that is the same for all images is like no other.
pub fn layer_distances(
    layers: &[LayerRepresentation],
    settings: SimilaritySettings,
) -> Vec<Vec<f64>> {
    let similarity: fn(&Prepared, &Prepared) -> f64 = match settings.similarity {
        LayerSimilarity::R2 => shared_span,
        LayerSimilarity::CkaLinear => |x, y| aligned(&x.matrix, &y.matrix, x.norm * y.norm),
        LayerSimilarity::CkaRbf => |x, y| {
            let products = x.matrix.clone() * y.matrix.clone();
            over(products.sum().into_scalar(), x.norm * y.norm)
        },
    };
    let prepared: Vec<Prepared> = layers
        .iter()
        .map(|layer| match settings.similarity {
            LayerSimilarity::R2 => basis(layer, settings.center),
            LayerSimilarity::CkaLinear => centred(layer),
            LayerSimilarity::CkaRbf => kernel(layer, settings.rbf_threshold),
        })
        .collect();
    let mut distances = vec![vec![0.0; layers.len()]; layers.len()];
    for i in 0..layers.len() {
        for j in 0..=i {
            let distance = 1.0 - similarity(&prepared[i], &prepared[j]);
            distances[i][j] = distance;
            distances[j][i] = distance;
        }
    }
    distances
}

/// What of a layer is needed for each comparison.
struct Prepared {
    matrix: Tensor<2>,
    norm: f64,
}

fn matrix(numbers: Vec<f64>, shape: [usize; 2]) -> Tensor<2> {
    Tensor::from_data(
        TensorData::new(numbers, shape),
        (&Device::flex(), DType::F64),
    )
}

fn over(numerator: f64, denominator: f64) -> f64 {
    if denominator > 0.0 {
        numerator / denominator
    } else {
        0.0
    }
}

/// Σ of the squares of XᵀY over `norm`.
fn aligned(x: &Tensor<2>, y: &Tensor<2>, norm: f64) -> f64 {
    let products = x.clone().transpose().matmul(y.clone());
    over(products.square().sum().into_scalar(), norm)
}

fn frobenius(matrix: &Tensor<2>) -> f64 {
    let sum: f64 = matrix.clone().square().sum().into_scalar();
    sum.sqrt()
}

impl LayerRepresentation {
    fn tensor(&self) -> Tensor<2> {
        matrix(self.numbers.clone(), [self.images, self.channels])
    }

    fn centred(&self) -> Tensor<2> {
        let x = self.tensor();
        let means = x.clone().mean_dim(0);
        x - means
    }
}

/// An orthonormal basis of the span of the channels, `[N, rank]`.
fn basis(layer: &LayerRepresentation, center: bool) -> Prepared {
    let x = match center {
        true => layer.centred(),
        false => layer.tensor(),
    };
    let columns: Vec<f64> = x.transpose().into_data().iter::<f64>().collect();
    let basis = orthonormal_basis(columns.chunks(layer.images));
    let rank = basis.len();
    Prepared {
        matrix: matrix(basis.concat(), [rank, layer.images]).transpose(),
        norm: rank as f64,
    }
}

/// ‖QxᵀQy‖² over the smaller rank.
fn shared_span(x: &Prepared, y: &Prepared) -> f64 {
    let least = x.norm.min(y.norm);
    match least > 0.0 {
        true => aligned(&x.matrix, &y.matrix, least),
        false => 0.0,
    }
}

/// Centred channels with ‖XᵀX‖: the products of features give the same alignment as those of
/// images, from C×C instead of N×N numbers.
fn centred(layer: &LayerRepresentation) -> Prepared {
    let matrix = layer.centred();
    let norm = frobenius(&matrix.clone().transpose().matmul(matrix.clone()));
    Prepared { matrix, norm }
}

/// The centred Gaussian kernel, `[N, N]`, of evenly chosen images where there are very many.
fn kernel(layer: &LayerRepresentation, threshold: f64) -> Prepared {
    let count = layer.images.min(KERNEL_IMAGES);
    let channels = layer.channels;
    let chosen = (0..count).flat_map(|i| {
        let image = i * layer.images / count;
        layer.numbers[image * channels..(image + 1) * channels].iter()
    });
    let x = matrix(chosen.copied().collect(), [count, channels]);
    let squares = x.clone().square().sum_dim(1);
    let products = x.clone().matmul(x.transpose());
    let distances = squares.clone() + squares.transpose() - products.mul_scalar(2.0);
    let median = median(distances.clone().into_data().iter::<f64>().collect());
    if median <= 0.0 {
        return Prepared {
            matrix: distances.zeros_like(),
            norm: 0.0,
        };
    }
    let kernel = distances
        .mul_scalar(-0.5 / (threshold * threshold * median))
        .exp();
    let means = kernel.clone().mean_dim(1);
    let means = means.clone() - means.mean().mul_scalar(0.5).reshape([1, 1]);
    let matrix = kernel - means.clone() - means.transpose();
    let norm = frobenius(&matrix);
    Prepared { matrix, norm }
}

/// The middle number, or the mean of the two in the middle.
fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    let half = numbers.len() / 2;
    match numbers.len() % 2 {
        1 => numbers[half],
        _ => 0.5 * (numbers[half - 1] + numbers[half]),
    }
}

#[cfg(test)]
mod tests {
    use limbeck_nn::Init;

    use super::*;

    const ALL: [LayerSimilarity; 3] = [
        LayerSimilarity::R2,
        LayerSimilarity::CkaLinear,
        LayerSimilarity::CkaRbf,
    ];

    fn layer(name: &str, images: usize, channels: usize) -> LayerRepresentation {
        LayerRepresentation {
            images,
            channels,
            numbers: Init::Normal(1.0).draw(1, name, images * channels),
        }
    }

    /// `layer · map` with a map of as many columns as `channels`, plus a shift.
    fn mapped(
        layer: &LayerRepresentation,
        map: &[f64],
        channels: usize,
        shift: f64,
    ) -> LayerRepresentation {
        let map = matrix(map.to_vec(), [layer.channels, channels]);
        let product = layer.tensor().matmul(map).add_scalar(shift);
        LayerRepresentation {
            images: layer.images,
            channels,
            numbers: product.into_data().iter::<f64>().collect(),
        }
    }

    fn distance(
        similarity: LayerSimilarity,
        center: bool,
        x: &LayerRepresentation,
        y: &LayerRepresentation,
    ) -> f64 {
        let settings = SimilaritySettings {
            similarity,
            center,
            rbf_threshold: 1.0,
        };
        layer_distances(&[x.clone(), y.clone()], settings)[0][1]
    }

    #[test]
    fn distances_are_symmetric_between_zero_and_one_and_zero_to_itself() {
        let layers = [layer("a", 30, 4), layer("b", 30, 6), layer("c", 30, 5)];
        for similarity in ALL {
            let settings = SimilaritySettings {
                similarity,
                center: false,
                rbf_threshold: 1.0,
            };
            let distances = layer_distances(&layers, settings);
            for (i, row) in distances.iter().enumerate() {
                assert!(row[i].abs() < 1e-10);
                for (j, &distance) in row.iter().enumerate() {
                    assert_eq!(distance, distances[j][i]);
                    assert!((-1e-9..=1.0 + 1e-9).contains(&distance));
                    assert!(i == j || distance > 0.1, "{similarity:?} {distance}");
                }
            }
        }
    }

    #[test]
    fn each_is_blind_to_what_it_should_be_blind_to() {
        let x = layer("x", 30, 3);
        let mixed = mapped(&x, &[1.0, 2.0, 0.0, 0.5, -1.0, 3.0, 2.0, 0.0, 1.0], 3, 0.0);
        assert!(distance(LayerSimilarity::R2, false, &x, &mixed).abs() < 1e-10);
        let shifted = mapped(&x, &[1.0, 2.0, 0.0, 0.5, -1.0, 3.0, 2.0, 0.0, 1.0], 3, 4.0);
        assert!(distance(LayerSimilarity::R2, true, &x, &shifted).abs() < 1e-10);
        assert!(distance(LayerSimilarity::R2, false, &x, &shifted) > 1e-3);
        let (sine, cosine) = 0.6f64.sin_cos();
        let turned = [cosine, -sine, 0.0, sine, cosine, 0.0, 0.0, 0.0, 1.0].map(|x| 5.0 * x);
        let turned = mapped(&x, &turned, 3, 0.0);
        assert!(distance(LayerSimilarity::CkaLinear, false, &x, &turned).abs() < 1e-10);
        assert!(distance(LayerSimilarity::CkaLinear, false, &x, &mixed) > 1e-3);
        assert!(distance(LayerSimilarity::CkaRbf, false, &x, &turned).abs() < 1e-10);
    }

    #[test]
    fn channels_that_depend_on_others_add_nothing() {
        let x = layer("x", 30, 3);
        let doubled = mapped(
            &x,
            &[1.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 1.0],
            4,
            0.0,
        );
        assert!(distance(LayerSimilarity::R2, false, &x, &doubled).abs() < 1e-10);
    }

    #[test]
    fn a_layer_that_never_changes_is_like_no_other() {
        let x = layer("x", 30, 3);
        let constant = LayerRepresentation {
            images: 30,
            channels: 2,
            numbers: vec![1.0; 60],
        };
        for (similarity, center) in [
            (LayerSimilarity::R2, true),
            (LayerSimilarity::CkaLinear, false),
            (LayerSimilarity::CkaRbf, false),
        ] {
            assert_eq!(distance(similarity, center, &x, &constant), 1.0);
        }
    }

    #[test]
    fn the_median_is_that_of_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
    }
}
