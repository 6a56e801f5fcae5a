//! What a number of masks hold, before anything is known of classes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::DataError;
use crate::decode::{RawMask, RawPixels, decode_mask_file};

/// Masks that are looked at where a file names the classes: enough to see whether it fits.
const FEW: usize = 48;

/// Masks that are looked at where the ids themselves are the classes: all of most data sets.
const MANY: usize = 2_000;

/// Threads that look at masks.
const THREADS: usize = 4;

/// Most colours that are told apart.
const MAX_COLOURS: usize = 512;

/// Where an id or a colour was met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Met {
    /// Number of pixels.
    pub pixels: usize,
    /// Number of masks.
    pub masks: usize,
    /// The first mask that has it.
    pub first: PathBuf,
}

/// What the masks that were looked at hold.
#[derive(Clone, Debug, Default)]
pub(super) struct Sample {
    /// How many masks there are.
    pub of: usize,
    /// How many were looked at and could be read.
    pub looked_at: usize,
    /// By id, where the masks hold ids or grey levels.
    pub ids: BTreeMap<u16, Met>,
    /// By colour, where they do not.
    pub colours: BTreeMap<[u8; 3], Met>,
    /// The first mask in colours, with its first pixel that is not grey (column, row).
    pub coloured: Option<(PathBuf, [usize; 2])>,
    /// The first that could not be read.
    pub error: Option<String>,
    /// The first mask in a JPEG file.
    pub lossy: Option<PathBuf>,
}

/// What one mask holds.
struct Counted {
    ids: BTreeMap<u16, usize>,
    colours: BTreeMap<[u8; 3], usize>,
    coloured: Option<[usize; 2]>,
}

impl Sample {
    /// Looks at masks that are spread over all of them: a few where `named`, else many.
    pub fn of(masks: &[&Path], named: bool) -> Self {
        let wanted = if named { FEW } else { MANY }.min(masks.len());
        let chosen: Vec<&Path> = (0..wanted)
            .map(|i| masks[i * masks.len() / wanted])
            .collect();
        let mut sample = Self {
            of: masks.len(),
            ..Self::default()
        };
        for (path, counted) in chosen.iter().zip(count_all(&chosen)) {
            match counted {
                Some(Ok(counted)) => sample.add(path, counted),
                Some(Err(DataError::LossyMask { path })) => {
                    sample.lossy.get_or_insert(path);
                }
                Some(Err(error)) => {
                    sample.error.get_or_insert(error.to_string());
                }
                None => {}
            }
        }
        sample
    }

    fn add(&mut self, path: &Path, counted: Counted) {
        self.looked_at += 1;
        for (id, pixels) in counted.ids {
            met(&mut self.ids, id, pixels, path);
        }
        for (colour, pixels) in counted.colours {
            if self.colours.len() < MAX_COLOURS || self.colours.contains_key(&colour) {
                met(&mut self.colours, colour, pixels, path);
            }
        }
        if let (None, Some(at)) = (&self.coloured, counted.coloured) {
            self.coloured = Some((path.to_owned(), at));
        }
    }

    /// Ids other than 255.
    pub fn ids_besides_255(&self) -> Vec<u16> {
        self.ids.keys().copied().filter(|&id| id != 255).collect()
    }
}

fn met<K: Ord>(all: &mut BTreeMap<K, Met>, key: K, pixels: usize, path: &Path) {
    let met = all.entry(key).or_insert_with(|| Met {
        pixels: 0,
        masks: 0,
        first: path.to_owned(),
    });
    met.pixels += pixels;
    met.masks += 1;
}

/// Counts in the order of the paths, whatever the threads.
fn count_all(paths: &[&Path]) -> Vec<Option<Result<Counted, DataError>>> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut mine = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(path) = paths.get(at) else {
                return mine;
            };
            mine.push((at, decode_mask_file(path).map(|mask| count(&mask))));
        }
    };
    let threads = std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(THREADS);
    let mut all: Vec<Option<Result<Counted, DataError>>> = paths.iter().map(|_| None).collect();
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mine = work();
        for (at, counted) in mine.into_iter().chain(
            others
                .into_iter()
                .flat_map(|other| other.join().unwrap_or_default()),
        ) {
            all[at] = Some(counted);
        }
    });
    all
}

fn count(mask: &RawMask) -> Counted {
    let mut counted = Counted {
        ids: BTreeMap::new(),
        colours: BTreeMap::new(),
        coloured: None,
    };
    match mask.ids() {
        Ok(ids) => {
            let mut counts = vec![0; usize::from(u16::MAX) + 1];
            ids.iter().for_each(|id| counts[usize::from(*id)] += 1);
            let there = counts
                .into_iter()
                .enumerate()
                .filter(|(_, count)| *count > 0);
            counted.ids = there.map(|(id, count)| (id as u16, count)).collect();
        }
        Err(at) => counted.coloured = Some(at),
    }
    let colour = |id: u16, palette: &Option<Vec<[u8; 3]>>| match palette {
        Some(palette) => palette.get(usize::from(id)).copied().unwrap_or_default(),
        None => [id.min(255) as u8; 3],
    };
    match &mask.pixels {
        RawPixels::Colours(colours) => {
            // Neighbours are mostly of one colour, so runs are counted.
            for run in colours.chunk_by(|a, b| a == b) {
                if counted.colours.len() < MAX_COLOURS || counted.colours.contains_key(&run[0]) {
                    *counted.colours.entry(run[0]).or_default() += run.len();
                }
            }
        }
        RawPixels::Ids { palette, .. } => {
            for (id, count) in &counted.ids {
                *counted.colours.entry(colour(*id, palette)).or_default() += count;
            }
        }
    }
    counted
}
