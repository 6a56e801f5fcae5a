//! The page of a data set: what it holds, and pictures of it with their masks or boxes over them.

use base64::{Engine, engine::general_purpose::STANDARD};
use maud::{Markup, html};
use png::{BitDepth, ColorType, Encoder};

use super::page::page;
use crate::box_drawing::boxes_over;
use crate::mask_png::{MaskPngError, mask_png};
use crate::numbers::count;
use crate::palette::Palette;
use crate::results::DrawnBox;

/// What a data set holds.
#[derive(Clone, Debug, Default)]
pub struct DataPage {
    /// For people, such as `camvid (images and masks)`.
    pub name: String,
    /// What was found besides, a line each.
    pub notes: Vec<String>,
    /// Class names in the order of the ids.
    pub classes: Vec<String>,
    /// Its parts.
    pub parts: Vec<DataPart>,
}

/// A part of a data set.
#[derive(Clone, Debug, Default)]
pub struct DataPart {
    /// Such as `train`.
    pub name: String,
    /// Number of images.
    pub images: usize,
    /// Of each class, the share of the pixels in percent and the number of images that show it; empty
    /// where images have no masks.
    pub shares: Vec<(f64, usize)>,
    /// Share of the pixels whose class is not known, in percent.
    pub void: f64,
    /// Boxes of each class; empty where images have none.
    pub boxes: Vec<BoxCount>,
    /// What else is to be said of it, a line each.
    pub facts: Vec<String>,
    /// What is wrong with it, a line each.
    pub cautions: Vec<String>,
    /// Some of its pictures.
    pub pictures: Vec<DataPicture>,
}

/// The boxes of a class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BoxCount {
    /// How many there are.
    pub boxes: usize,
    /// Images that have some.
    pub images: usize,
}

/// A picture to be shown.
#[derive(Clone, Debug, Default)]
pub struct DataPicture {
    /// Such as the name of its file.
    pub name: String,
    /// Its class, where it has one.
    pub label: Option<String>,
    /// Height and width.
    pub size: [usize; 2],
    /// 1 (grey) or 3 (red, green, blue).
    pub channels: usize,
    /// `[H, W, C]`.
    pub pixels: Vec<u8>,
    /// Class of each pixel `[H, W]`, 255 where it is not known; `None` where there is no mask.
    pub ids: Option<Vec<u8>>,
    /// Its boxes; `None` where images have none.
    pub boxes: Option<Vec<DrawnBox>>,
}

/// The page of a data set: one HTML file that loads nothing.
///
/// # Errors
/// Pictures or masks whose numbers do not fit their sizes.
pub fn data_page(data: &DataPage) -> Result<String, MaskPngError> {
    let palette = Palette::of(&data.classes);
    let mut pictures = Vec::new();
    for part in &data.parts {
        let cards: Result<Vec<Markup>, MaskPngError> = part
            .pictures
            .iter()
            .map(|picture| card(picture, data, &palette))
            .collect();
        pictures.push(cards?);
    }
    let has_masks = data.parts.iter().any(|part| !part.shares.is_empty());
    let has_boxes = data.parts.iter().any(|part| !part.boxes.is_empty());
    let body = html! {
        header {
            p.overline { "Limbeck data" }
            h1 { (data.name) }
            @for note in &data.notes { p.quiet { (note) } }
        }
        @if has_masks || has_boxes {
            ul.legend {
                @for (class, name) in data.classes.iter().enumerate() {
                    li { i.colour style={ "background:" (palette.hex(class)) } {} (name) }
                }
            }
        }
        @if has_masks {
            p { label { input #masks type="checkbox" checked; " Masks over the pictures" } }
        }
        @if has_boxes {
            p.quiet { "Dotted boxes are crowds and difficult objects." }
        }
        main {
            @for (part, cards) in data.parts.iter().zip(&pictures) {
                section {
                    h2 { (part.name) ", " (count(part.images as u64)) " images" }
                    @if !part.cautions.is_empty() {
                        div.cautions {
                            ul { @for caution in &part.cautions { li { (caution) } } }
                        }
                    }
                    @if !part.shares.is_empty() { (shares(part, data, &palette)) }
                    @if !part.boxes.is_empty() { (boxes(part, data, &palette)) }
                    @if !part.facts.is_empty() { ul { @for fact in &part.facts { li { (fact) } } } }
                    @if !cards.is_empty() {
                        ul.pictures.overlaid { @for card in cards { (card) } }
                    }
                }
            }
        }
    };
    Ok(page(&format!("{} · Limbeck data", data.name), &body))
}

fn shares(part: &DataPart, data: &DataPage, palette: &Palette) -> Markup {
    html! {
        div.scroll {
            table {
                thead { tr {
                    th scope="col" { "Class" }
                    th.number scope="col" { "Pixels" }
                    th.number scope="col" { "Images" }
                } }
                tbody {
                    @for (class, (name, (pixels, images))) in data.classes.iter().zip(&part.shares).enumerate() {
                        tr {
                            th scope="row" { i.colour style={ "background:" (palette.hex(class)) } {} (name) }
                            td.number { (format!("{pixels:.2} %")) }
                            td.number { (count(*images as u64)) }
                        }
                    }
                    tr {
                        th scope="row" { "not known" }
                        td.number { (format!("{:.2} %", part.void)) }
                        td {}
                    }
                }
            }
        }
    }
}

fn boxes(part: &DataPart, data: &DataPage, palette: &Palette) -> Markup {
    html! {
        div.scroll {
            table {
                thead { tr {
                    th scope="col" { "Class" }
                    th.number scope="col" { "Boxes" }
                    th.number scope="col" { "Images" }
                } }
                tbody {
                    @for (class, (name, counts)) in data.classes.iter().zip(&part.boxes).enumerate() {
                        tr {
                            th scope="row" { i.colour style={ "background:" (palette.hex(class)) } {} (name) }
                            td.number { (count(counts.boxes as u64)) }
                            td.number { (count(counts.images as u64)) }
                        }
                    }
                }
            }
        }
    }
}

fn card(picture: &DataPicture, data: &DataPage, palette: &Palette) -> Result<Markup, MaskPngError> {
    let image = STANDARD.encode(picture_png(picture)?);
    let mask = match &picture.ids {
        None => None,
        Some(ids) => Some(STANDARD.encode(mask_png(ids, picture.size, palette)?)),
    };
    let shown: Vec<&str> = picture.ids.as_ref().map_or_else(Vec::new, |ids| {
        let shows = |class: &usize| ids.iter().any(|&id| usize::from(id) == *class);
        let classes = (0..data.classes.len()).filter(shows);
        classes.map(|class| data.classes[class].as_str()).collect()
    });
    let [height, width] = picture.size;
    let small = height.max(width) <= SMALL;
    let name = |class: usize| data.classes.get(class).cloned().unwrap_or_default();
    let file = || {
        html! { image width=(width) height=(height) href={ "data:image/png;base64," (image) } {} }
    };
    let label = || format!("Image {} with its boxes", picture.name);
    Ok(html! {
        li.picture {
            @if let Some(boxes) = &picture.boxes {
                (boxes_over(&file(), &label(), picture.size, boxes, &name, palette))
            } @else { div.overlay {
                img.sharp[small] src={ "data:image/png;base64," (image) } alt={ "Image " (picture.name) };
                @if let Some(mask) = mask {
                    img.mask src={ "data:image/png;base64," (mask) } alt={ "Its mask: " (shown.join(", ")) };
                }
            } }
            p.label {
                @if let Some(label) = &picture.label { (label) }
                small { (picture.name) }
            }
        }
    })
}

/// Pictures up to this side are drawn with sharp pixels.
const SMALL: usize = 64;

/// A picture as a PNG file.
fn picture_png(picture: &DataPicture) -> Result<Vec<u8>, MaskPngError> {
    let [height, width] = picture.size;
    let size = || MaskPngError::Size {
        width,
        height,
        ids: picture.pixels.len(),
    };
    let colour = match picture.channels {
        1 => ColorType::Grayscale,
        3 => ColorType::Rgb,
        _ => return Err(size()),
    };
    let numbers = height
        .checked_mul(width)
        .and_then(|pixels| pixels.checked_mul(picture.channels));
    if numbers != Some(picture.pixels.len()) || picture.pixels.is_empty() {
        return Err(size());
    }
    let side = |side: usize| u32::try_from(side).map_err(|_| size());
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, side(width)?, side(height)?);
    encoder.set_color(colour);
    encoder.set_depth(BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&picture.pixels)?;
    writer.finish()?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data() -> DataPage {
        DataPage {
            name: "roads <of> a town".to_owned(),
            notes: vec!["two masks without images".to_owned()],
            classes: ["road", "car"].map(str::to_owned).to_vec(),
            parts: vec![DataPart {
                name: "train".to_owned(),
                images: 1_200,
                shares: vec![(75.0, 1_200), (12.5, 7)],
                void: 12.5,
                cautions: vec!["3 masks know no pixel's class".to_owned()],
                pictures: vec![DataPicture {
                    name: "a.jpg".to_owned(),
                    size: [2, 3],
                    channels: 3,
                    pixels: (0..18).collect(),
                    ids: Some(vec![0, 0, 1, 255, 0, 0]),
                    ..DataPicture::default()
                }],
                ..DataPart::default()
            }],
        }
    }

    #[test]
    fn the_page_shows_shares_and_pictures_with_their_masks() {
        let page = data_page(&data()).unwrap();
        assert!(page.contains("roads &lt;of&gt; a town"));
        assert_eq!(page.matches("src=\"data:image/png;base64,").count(), 2);
        for text in [
            "75.00 %",
            "1,200 images",
            "two masks without images",
            "3 masks know no pixel's class",
            "Its mask: road, car",
        ] {
            assert!(page.contains(text), "no `{text}` in\n{page}");
        }
        for outside in ["http:", "https:", "<script"] {
            assert!(!page.contains(outside), "{outside}");
        }
    }

    #[test]
    fn the_page_shows_boxes_over_their_pictures() {
        let mut boxed = data();
        let part = &mut boxed.parts[0];
        part.shares.clear();
        part.boxes = [(1_805, 7), (2, 1)]
            .map(|(boxes, images)| BoxCount { boxes, images })
            .into();
        part.facts = vec!["sizes: 3 small".to_owned()];
        part.pictures[0].ids = None;
        part.pictures[0].boxes = Some(vec![DrawnBox {
            class: 1,
            bounds: [0.0, 0.0, 2.0, 1.0],
            ..DrawnBox::default()
        }]);
        let page = data_page(&boxed).unwrap();
        for text in [
            "1,805",
            "<title>car</title>",
            "sizes: 3 small",
            "class=\"boxes\"",
        ] {
            assert!(page.contains(text), "no `{text}` in\n{page}");
        }
        assert!(!page.contains("Masks over"));
    }

    #[test]
    fn pictures_that_contradict_their_size_are_refused() {
        let mut wrong = data();
        wrong.parts[0].pictures[0].pixels.pop();
        assert!(data_page(&wrong).is_err());
        let mut wrong = data();
        wrong.parts[0].pictures[0].ids = Some(vec![0]);
        assert!(data_page(&wrong).is_err());
    }
}
