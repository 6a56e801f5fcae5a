use proptest::prelude::*;
use serde_json::json;

use super::*;

/// The mask of a file of shapes on an image of 6x4 pixels.
fn drawn(shapes: Value) -> Result<Vec<u16>, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.json");
    let file =
        json!({"imageWidth": 6, "imageHeight": 4, "imagePath": "..\\a.jpg", "shapes": shapes});
    std::fs::write(&path, file.to_string()).unwrap();
    let ids = [("cat", 1), ("dog", 2), (IGNORE, 255)];
    let labels = Labels(
        ids.into_iter()
            .map(|(name, id)| (name.to_owned(), id))
            .collect(),
    );
    let mask = mask_of(&path, &labels).map_err(|e| e.to_string())?;
    Ok(mask.ids().unwrap())
}

#[test]
fn later_shapes_cover_earlier_ones() {
    let square = json!([[0, 0], [3, 0], [3, 3], [0, 3]]);
    let ids = drawn(json!([
        {"label": "cat", "points": square, "shape_type": null},
        {"label": "dog", "points": [[5, 3], [2, 2]], "shape_type": "rectangle"},
        {"label": IGNORE, "points": [[0, 0], [0, 0]], "shape_type": "rectangle"},
    ]));
    let expected = [
        255, 1, 1, 1, 0, 0, 1, 1, 1, 1, 0, 0, 1, 1, 2, 2, 2, 2, 1, 1, 2, 2, 2, 2,
    ];
    assert_eq!(ids.unwrap(), expected);
}

#[test]
fn pictures_of_shapes_lie_at_their_corner() {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, 2, 2);
    encoder.set_color(png::ColorType::Grayscale);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&[255, 0, 255, 255]).unwrap();
    writer.finish().unwrap();
    let text = base64::engine::general_purpose::STANDARD.encode(&bytes);
    let shape =
        json!([{"label": "cat", "points": [[4, 1], [5, 2]], "shape_type": "mask", "mask": text}]);
    let ids = drawn(shape).unwrap();
    assert_eq!((ids[10], ids[11], ids[16], ids[17]), (1, 0, 1, 1));
    assert_eq!(ids.iter().filter(|id| **id == 1).count(), 3);
}

#[test]
fn what_cannot_be_drawn_is_refused() {
    for (shape, reason) in [
        (json!({"points": [[0, 0]]}), "no `label`"),
        (
            json!({"label": "fox", "points": [[0, 0]]}),
            "`fox` is not known",
        ),
        (json!({"label": "cat"}), "no `points`"),
        (json!({"label": "cat", "points": [[0, "x"]]}), "no `points`"),
        (
            json!({"label": "cat", "points": [[0, 0]], "shape_type": "cuboid"}),
            "`cuboid`",
        ),
        (
            json!({"label": "cat", "points": [[0, 0], [1, 1]], "shape_type": "mask", "mask": "!"}),
            "base64",
        ),
    ] {
        let error = drawn(json!([shape])).unwrap_err();
        assert!(error.contains(reason), "{error}");
    }
    assert!(drawn(json!({})).unwrap_err().contains("no list `shapes`"));
}

proptest! {
    #[test]
    fn changed_files_never_panic(
        changes in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = json!({"imageWidth": 6, "imageHeight": 4, "shapes": [
            {"label": "cat", "points": [[0.5, 0], [3, 1e3], [3, -3]], "shape_type": "polygon"},
            {"label": "cat", "points": [[1, 1], [2, 2]], "shape_type": "circle"},
            {"label": "cat", "points": [[1, 1], [2, 2], [0, 7]], "shape_type": "linestrip"},
            {"label": "cat", "points": [[1, 1]], "shape_type": "point"},
        ]}).to_string().into_bytes();
        for (place, value) in changes {
            let len = bytes.len();
            bytes[place % len] = value;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        std::fs::write(&path, bytes).unwrap();
        let labels = Labels([("cat".to_owned(), 1)].into_iter().collect());
        if let Ok(mask) = mask_of(&path, &labels) {
            prop_assert_eq!(mask.ids().unwrap().len(), mask.width * mask.height);
        }
    }
}
