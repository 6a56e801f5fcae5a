//! The family's nets by name: the factors that contraction changes.

use std::fmt::Display;
use std::str::FromStr;

use super::TinyVitConfig;
use crate::NnError;

/// What the name of a net that is told by its factors begins with.
const PREFIX: &str = "tinyvit:";

/// Whether `name` is that of a net told by its factors.
pub fn tells_factors(name: &str) -> bool {
    name.to_lowercase().starts_with(PREFIX)
}

/// The factors that tell a TinyViT apart (Wu et al. ECCV 2022, section 3.2), as its name has them.
///
/// Written `tinyvit:widths=64-128-160-320,depths=2-2-6-2,windows=7-14-7,head=32,expansion=4,mlp=4`;
/// what is left out is as in `tiny_vit_5m_224`. `-` and `_` are the same.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TinyVitFactors {
    /// Channels of the four stages.
    pub widths: [usize; 4],
    /// Blocks of the four stages.
    pub depths: [usize; 4],
    /// Sides of the last three stages' windows, in tokens.
    pub windows: [usize; 3],
    /// Width of an attention head; divides the last three widths.
    pub head: usize,
    /// Channels inside a bottleneck of the first stage, in widths.
    pub expansion: f64,
    /// Neurons of a perceptron, in widths.
    pub mlp: f64,
    /// Probability with which training omits the branches of the last block; it rises linearly
    /// from 0 at the first. Written `drop-path=0.1`, and left out of the name where it is 0.
    pub drop_path: f64,
}

impl Default for TinyVitFactors {
    /// Those of `tiny_vit_5m_224`.
    fn default() -> Self {
        Self {
            widths: [64, 128, 160, 320],
            depths: [2, 2, 6, 2],
            windows: [7, 14, 7],
            head: 32,
            expansion: 4.0,
            mlp: 4.0,
            drop_path: 0.0,
        }
    }
}

impl TinyVitFactors {
    /// The network.
    ///
    /// # Errors
    /// A width of heads that does not divide the widths.
    pub fn config(&self) -> Result<TinyVitConfig, NnError> {
        let heads = |width: usize| {
            let fits = self.head > 0 && width.is_multiple_of(self.head);
            fits.then(|| width / self.head)
                .ok_or_else(|| NnError::Unsupported {
                    model: self.to_string(),
                    reason: format!(
                        "found heads of {}, the width of a head divides the last three widths",
                        self.head
                    ),
                })
        };
        Ok(TinyVitConfig {
            widths: self.widths,
            depths: self.depths,
            heads: [
                heads(self.widths[1])?,
                heads(self.widths[2])?,
                heads(self.widths[3])?,
            ],
            windows: self.windows,
            expansion: self.expansion,
            mlp_ratio: self.mlp,
            drop_path: self.drop_path,
        })
    }

    /// Side in pixels of the least images whose last three stages the windows cover without a
    /// rest, up to 512; 224 for the published windows.
    pub fn size(&self) -> usize {
        let covers = |size: &usize| {
            let grids = [8, 16, 32].map(|reduction| size / reduction);
            let mut pairs = grids.iter().zip(&self.windows);
            pairs.all(|(grid, window)| grid.is_multiple_of((*window).max(1)))
        };
        (32..=512).step_by(32).find(covers).unwrap_or(224)
    }

    /// The factors of the zoo's net called `name`, where it is one of this family.
    ///
    /// # Errors
    /// A name with factors that cannot be read; [`NnError::UnknownModel`] where it is no TinyViT.
    pub fn of(name: &str) -> Result<Self, NnError> {
        if tells_factors(name) {
            return name.parse();
        }
        let found = crate::model::find(name)?;
        let factors = |config: &TinyVitConfig| Self {
            widths: config.widths,
            depths: config.depths,
            windows: config.windows,
            head: config.widths[1] / config.heads[0],
            expansion: config.expansion,
            mlp: config.mlp_ratio,
            drop_path: config.drop_path,
        };
        let own = super::CONFIGS.iter().find(|(own, _)| *own == found.name);
        own.map(|(_, config)| factors(config))
            .ok_or_else(|| NnError::Unsupported {
                model: found.name.clone(),
                reason: "it is no TinyViT; give `tiny_vit_5m_224` or another of that family"
                    .to_owned(),
            })
    }
}

impl Display for TinyVitFactors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let list = |values: &[usize]| {
            let values: Vec<String> = values.iter().map(usize::to_string).collect();
            values.join("-")
        };
        write!(
            f,
            "{PREFIX}widths={},depths={},windows={},head={},expansion={},mlp={}",
            list(&self.widths),
            list(&self.depths),
            list(&self.windows),
            self.head,
            self.expansion,
            self.mlp
        )?;
        match self.drop_path {
            0.0 => Ok(()),
            rate => write!(f, ",drop-path={rate}"),
        }
    }
}

impl FromStr for TinyVitFactors {
    type Err = NnError;

    fn from_str(name: &str) -> Result<Self, NnError> {
        let refuse = |reason: String| NnError::Unsupported {
            model: name.to_owned(),
            reason,
        };
        let text = name.trim().to_lowercase().replace('_', "-");
        let assignments = text.strip_prefix(PREFIX).unwrap_or_default();
        let mut factors = Self::default();
        for assignment in assignments.split(',').filter(|text| !text.is_empty()) {
            let (key, value) = assignment.split_once('=').ok_or_else(|| {
                refuse(format!(
                    "found `{assignment}`, it needs KEY=VALUE joined by commas"
                ))
            })?;
            let wrong =
                |expected| refuse(format!("found `{value}` for `{key}`, it needs {expected}"));
            let ratio = || {
                value
                    .parse()
                    .ok()
                    .filter(|ratio: &f64| ratio.is_finite())
                    .ok_or_else(|| wrong("a number"))
            };
            match key {
                "widths" => {
                    factors.widths =
                        numbers(value).ok_or_else(|| wrong("four whole numbers joined by `-`"))?;
                }
                "depths" => {
                    factors.depths =
                        numbers(value).ok_or_else(|| wrong("four whole numbers joined by `-`"))?;
                }
                "windows" => {
                    factors.windows =
                        numbers(value).ok_or_else(|| wrong("three whole numbers joined by `-`"))?;
                }
                "head" => {
                    factors.head = value.parse().map_err(|_| wrong("a whole number"))?;
                }
                "expansion" => factors.expansion = ratio()?,
                "mlp" => factors.mlp = ratio()?,
                "drop-path" => factors.drop_path = ratio()?,
                _ => {
                    return Err(refuse(format!(
                        "found `{key}`, it knows widths, depths, windows, head, expansion, mlp and drop-path"
                    )));
                }
            }
        }
        factors.config()?;
        Ok(factors)
    }
}

/// `N` whole numbers joined by `-`.
fn numbers<const N: usize>(text: &str) -> Option<[usize; N]> {
    let numbers: Option<Vec<usize>> = text.split('-').map(|part| part.parse().ok()).collect();
    numbers?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_reads_back_as_the_same_factors() {
        let factors = TinyVitFactors {
            widths: [16, 24, 48, 64],
            depths: [1, 1, 2, 1],
            windows: [4, 2, 2],
            head: 8,
            expansion: 2.5,
            mlp: 3.0,
            drop_path: 0.1,
        };
        assert_eq!(
            factors.to_string().parse::<TinyVitFactors>().unwrap(),
            factors
        );
        let written: TinyVitFactors = "TinyViT:mlp=3".parse().unwrap();
        assert_eq!(written.mlp, 3.0);
        assert_eq!(written.widths, TinyVitFactors::default().widths);
    }

    #[test]
    fn the_zoo_s_own_nets_have_factors() {
        let factors = TinyVitFactors::of("tiny-vit-21m").unwrap();
        assert_eq!(factors.widths, [96, 192, 384, 576]);
        assert_eq!((factors.head, factors.windows), (32, [7, 14, 7]));
        let error = TinyVitFactors::of("resnet8").unwrap_err().to_string();
        assert!(error.contains("no TinyViT"), "{error}");
    }

    #[test]
    fn names_that_say_nothing_sensible_are_refused_with_what_is_possible() {
        for (name, expected) in [
            ("tinyvit:widths=1-2-3", "four whole numbers"),
            ("tinyvit:windows=7", "three whole numbers"),
            ("tinyvit:depth=3", "it knows widths, depths"),
            ("tinyvit:mlp", "KEY=VALUE"),
            ("tinyvit:mlp=inf", "a number"),
            ("tinyvit:head=0", "divides the last three"),
            ("tinyvit:head=48", "divides the last three"),
        ] {
            let error = name.parse::<TinyVitFactors>().unwrap_err().to_string();
            assert!(error.contains(expected), "{name}: {error}");
        }
    }
}
