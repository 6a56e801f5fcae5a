//! Goldens of `dilo`: its pasting, and the contrasts of `moco`.

use std::collections::BTreeMap;

use limbeck_data::{Image, composite, gaussian_blur};

use crate::{
    golden::{
        Adapter,
        case::{Case, Values},
        compare::Tolerance,
        network::no_loss,
        run::Run,
    },
    moco::golden::{INSTDISC, MOCO},
};

/// All cases.
pub const ADAPTERS: &[Adapter] = &[
    Adapter {
        case: "composite",
        tolerance: LEVELS,
        run: pasted,
    },
    INSTDISC,
    MOCO,
];

/// Two levels, by which blurs of 8 bits may differ; what has to be exact is compared here.
const LEVELS: Tolerance = Tolerance {
    relative: 0.0,
    absolute: 2.0,
    of_maximum: 0.0,
};

/// `[h, w, c]`, or `[h, w]` of a mask, as an image.
fn image(values: &Values) -> Image {
    Image {
        height: values.shape[0],
        width: values.shape[1],
        channels: values.shape.get(2).copied().unwrap_or(1),
        pixels: values.numbers.iter().map(|&level| level as u8).collect(),
    }
}

fn levels(image: &Image, shape: &[usize]) -> Values {
    Values {
        shape: shape.to_vec(),
        numbers: image.pixels.iter().map(|&level| f64::from(level)).collect(),
    }
}

fn pasted(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let (whole, mask) = (
        image(case.values("in.image")),
        image(case.values("in.mask")),
    );
    let grey = (255.0 * case.number("u_background")) as u8;
    assert_eq!(usize::from(grey), case.count("grey"));
    let blurred = gaussian_blur(&mask, case.number("blur_sigma"));
    let sharp = composite(&whole, &mask, grey);
    let expected = &case.values("out.sharp").numbers;
    assert_eq!(&levels(&sharp, &[]).numbers, expected, "`out.sharp`");
    let kept = composite(
        &whole,
        &Image::filled(mask.width, mask.height, 1, 255),
        grey,
    );
    assert_eq!(kept, image(case.values("out.kept")), "`out.kept`");

    let shape = case.shape("in.image");
    run.set("out.kept", levels(&kept, shape));
    run.set("out.sharp", levels(&sharp, shape));
    let mixture = |(at, &value): (usize, &u8)| {
        let share = f64::from(mask.pixels[at / whole.channels]) / 255.0;
        f64::from(value) * share + f64::from(grey) * (1.0 - share)
    };
    let exact: Vec<f64> = whole.pixels.iter().enumerate().map(mixture).collect();
    let expected = &case.values("out.float").numbers;
    let off = exact.iter().zip(expected).map(|(a, b)| (a - b).abs());
    assert!(off.fold(0.0, f64::max) < 1e-9, "`out.float`");
    run.set("out.float", levels(&sharp, shape));
    run.set(
        "out.soft",
        levels(&composite(&whole, &blurred, grey), shape),
    );
    run.set("out.blurred_mask", levels(&blurred, case.shape("in.mask")));
    let (name, zero) = no_loss();
    run.set(&name, zero);
    run.finish_without_loss()
}
