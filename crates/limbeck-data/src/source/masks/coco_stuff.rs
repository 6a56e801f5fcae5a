//! COCO-Stuff 164k (Caesar et al., 2018), known by the names of COCO's files and the ids in the masks.

use std::path::Path;

use super::class_file::ClassFile;
use super::encoding::Encoding;
use super::pairing::stem;
use super::sample::Sample;
use super::settle::Settled;
use crate::DataError;

/// What the masks have ids for, in their order (`labels.txt`); `-` for the eleven that no mask has.
const IDS: &str = "person,bicycle,car,motorcycle,airplane,bus,train,truck,boat,traffic light,\
    fire hydrant,-,stop sign,parking meter,bench,bird,cat,dog,horse,sheep,cow,elephant,bear,zebra,\
    giraffe,-,backpack,umbrella,-,-,handbag,tie,suitcase,frisbee,skis,snowboard,sports ball,kite,\
    baseball bat,baseball glove,skateboard,surfboard,tennis racket,bottle,-,wine glass,cup,fork,\
    knife,spoon,bowl,banana,apple,sandwich,orange,broccoli,carrot,hot dog,pizza,donut,cake,chair,\
    couch,potted plant,bed,-,dining table,-,-,toilet,-,tv,laptop,mouse,remote,keyboard,cell phone,\
    microwave,oven,toaster,sink,refrigerator,-,book,clock,vase,scissors,teddy bear,hair drier,\
    toothbrush,-,banner,blanket,branch,bridge,building-other,bush,cabinet,cage,cardboard,carpet,\
    ceiling-other,ceiling-tile,cloth,clothes,clouds,counter,cupboard,curtain,desk-stuff,dirt,\
    door-stuff,fence,floor-marble,floor-other,floor-stone,floor-tile,floor-wood,flower,fog,\
    food-other,fruit,furniture-other,grass,gravel,ground-other,hill,house,leaves,light,mat,metal,\
    mirror-stuff,moss,mountain,mud,napkin,net,paper,pavement,pillow,plant-other,plastic,platform,\
    playingfield,railing,railroad,river,road,rock,roof,rug,salad,sand,sea,shelf,sky-other,\
    skyscraper,snow,solid-other,stairs,stone,straw,structural-other,table,tent,textile-other,towel,\
    tree,vegetable,wall-brick,wall-concrete,wall-other,wall-panel,wall-stone,wall-tile,wall-wood,\
    water-other,waterdrops,window-blind,window-other,wood";

/// The first id of stuff, which no mask of things alone has.
const FIRST_STUFF: u16 = 91;

/// The greatest id.
const LAST: u16 = 181;

/// Number of classes, and one more than the greatest train id.
const COUNT: u16 = 171;

/// Whether a file is COCO-Stuff's own list, which counts from 1 what masks count from 0.
pub(super) fn is_own_list(file: &ClassFile) -> bool {
    let name = |at: usize| file.entries.get(at).map(|entry| entry.name.as_str());
    file.entries.len() == usize::from(LAST) + 2
        && (name(0), name(1), name(182)) == (Some("unlabeled"), Some("person"), Some("wood"))
}

/// The classes, if all images are named as those of COCO and the masks hold stuff.
pub(super) fn settle(images: &[&Path], masks: &[&Path]) -> Result<Option<Settled>, DataError> {
    let is_named_so = |path: &&Path| {
        let stem = stem(path);
        let number = stem.rsplit('_').next().unwrap_or("");
        number.len() == 12 && number.bytes().all(|byte| byte.is_ascii_digit())
    };
    if !images.iter().all(is_named_so) {
        return Ok(None);
    }
    let sample = Sample::of(masks, true);
    let ids = sample.ids_besides_255();
    let last = ids.last().copied().unwrap_or(0);
    if sample.coloured.is_some() || !(FIRST_STUFF..=LAST).contains(&last) {
        return Ok(None);
    }
    let used: Vec<(u16, &str)> = (0..)
        .zip(IDS.split(','))
        .filter(|(_, name)| *name != "-")
        .collect();
    let by_train_id = masks
        .iter()
        .all(|mask| stem(mask).ends_with("_labelTrainIds"))
        && last < COUNT;
    let (encoding, kind) = match by_train_id {
        true => (
            Encoding::of_ids(
                (0..COUNT).map(|id| (id, id as u8)),
                "COCO-Stuff has train ids 0 to 170, and 255 for void".to_owned(),
            ),
            "train ids 0 to 170",
        ),
        false => (
            Encoding::of_ids(
                (0..).zip(&used).map(|(class, (id, _))| (*id, class)),
                "COCO-Stuff has 171 of the ids 0 to 181, and 255 for void".to_owned(),
            ),
            "ids 0 to 181, of which eleven are not used",
        ),
    };
    Ok(Some(Settled {
        classes: used.into_iter().map(|(_, name)| name.to_owned()).collect(),
        encoding,
        notes: vec![format!(
            "the files are those of COCO-Stuff with 171 classes, by {kind}; 255 is void"
        )],
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_171_classes_among_182_ids() {
        assert_eq!(IDS.split(',').count(), 182);
        assert_eq!(IDS.split(',').filter(|name| *name != "-").count(), 171);
        let unused = [11, 25, 28, 29, 44, 65, 67, 68, 70, 82, 90];
        let names: Vec<&str> = IDS.split(',').collect();
        assert!(unused.iter().all(|id| names[*id] == "-"));
        assert_eq!(
            (names[91], names[148], names[181]),
            ("banner", "road", "wood")
        );
    }
}
