//! Convolutions of any sizes.

use limbeck_kernels::Conv2dOptions;
use proptest::prelude::*;

use super::definition::{Case, PLAIN, check};

fn any_case() -> impl Strategy<Value = Case> {
    let pair = |least: usize, most: usize| [least..=most, least..=most];
    (
        (1usize..=18, 1usize..=3, 1usize..=5, 1usize..=9),
        (pair(1, 19), pair(1, 4)),
        (pair(1, 3), pair(0, 5), pair(1, 3)),
    )
        .prop_map(
            |((batch, groups, channels, outputs), (size, kernel), (stride, padding, dilation))| {
                Case {
                    x: [batch, groups * channels, size[0], size[1]],
                    weight: [groups * outputs, channels, kernel[0], kernel[1]],
                    options: Conv2dOptions {
                        stride,
                        padding,
                        dilation,
                        groups,
                    },
                }
            },
        )
        .prop_filter("the kernel must fit", |case| case.output().is_some())
}

/// As [`any_case`], with one input and one output channel to a group.
fn any_depthwise_case() -> impl Strategy<Value = Case> {
    (any_case(), 2usize..=21).prop_map(|(mut case, channels)| {
        case.x[1] = channels;
        case.weight[0] = channels;
        case.weight[1] = 1;
        case.options.groups = channels;
        case
    })
}

/// 3×3 with stride 1, or 2 and the padding that goes with it, of enough channels and positions for
/// minimal filtering.
fn any_filtered_case() -> impl Strategy<Value = Case> {
    (
        (1usize..=5, 12usize..=40, 12usize..=70),
        [3usize..=19, 3usize..=19],
        [0usize..=2, 0usize..=2],
        1usize..=2,
    )
        .prop_map(|((batch, channels, outputs), size, padding, stride)| Case {
            x: [batch, channels, size[0], size[1]],
            weight: [outputs, channels, 3, 3],
            options: Conv2dOptions {
                stride: [stride; 2],
                padding: if stride == 1 { padding } else { [1, 1] },
                ..PLAIN
            },
        })
}

/// As [`any_case`], without groups and with enough channels for a product for every kernel element.
fn any_wide_case() -> impl Strategy<Value = Case> {
    (any_case(), 12usize..=40, 12usize..=40).prop_map(|(mut case, channels, outputs)| {
        case.x[1] = channels;
        case.weight[0] = outputs;
        case.weight[1] = channels;
        case.options.groups = 1;
        case
    })
}

/// A dilated 3×3 that keeps the size, with enough channels for minimal filtering of the maps taken
/// apart, and in some of them elements that read padding alone.
fn any_dilated_case() -> impl Strategy<Value = Case> {
    (
        (1usize..=3, 12usize..=30, 12usize..=40),
        [1usize..=23, 1usize..=23],
        2usize..=13,
    )
        .prop_map(|((batch, channels, outputs), size, dilation)| Case {
            x: [batch, channels, size[0], size[1]],
            weight: [outputs, channels, 3, 3],
            options: Conv2dOptions {
                padding: [dilation; 2],
                dilation: [dilation; 2],
                ..PLAIN
            },
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_filtered_convolution_follows_the_definition(
        case in any_filtered_case(),
        seed in 1u64..1 << 32,
    ) {
        check(case, seed);
    }

    #[test]
    fn any_dilated_convolution_follows_the_definition(
        case in any_dilated_case(),
        seed in 1u64..1 << 32,
    ) {
        check(case, seed);
    }

    #[test]
    fn any_wide_convolution_follows_the_definition(
        case in any_wide_case(),
        seed in 1u64..1 << 32,
    ) {
        check(case, seed);
    }

    #[test]
    fn any_depthwise_convolution_follows_the_definition(
        case in any_depthwise_case(),
        seed in 1u64..1 << 32,
    ) {
        check(case, seed);
    }

    #[test]
    fn any_convolution_follows_the_definition(case in any_case(), seed in 1u64..1 << 32) {
        check(case, seed);
    }
}

/// The last channels of maps of few positions lie as far apart as the ends of a vector: 6 channels of
/// 3 positions with sixteen lanes, 2 of 7 and 8 of 1 with eight, 2 of 3 with four.
#[test]
fn few_channels_that_span_a_vector_are_not_taken_for_neighbours() {
    for (channels, columns) in [(22, 3), (10, 7), (18, 15), (20, 5), (6, 3), (14, 3)] {
        let case = Case {
            x: [1, channels, 1, columns],
            weight: [12, channels, 1, 1],
            options: PLAIN,
        };
        check(case, 1);
    }
}
