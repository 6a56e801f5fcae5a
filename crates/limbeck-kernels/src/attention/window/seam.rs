//! The line at which a shifted window goes over the grid's end.

use super::Windows;

/// What is added to the score of a query and a key between which the grid's end lies. Scores below half
/// of it have a probability of 0.
pub(super) const HIDDEN: f32 = -1e30;

impl Windows {
    /// Whether the grid's end lies inside the window number `beside` of band `band`, between rows and
    /// between columns.
    pub(super) fn seams(&self, [band, beside]: [usize; 2]) -> [bool; 2] {
        let [below, columns] = self.counts();
        let last = [band + 1 == below, beside + 1 == columns];
        [0, 1].map(|axis| last[axis] && self.shift[axis] > 0)
    }

    /// Whether a window with these seams hides the key from the query, both numbered in the window.
    pub(super) fn hides(&self, seams: [bool; 2], query: usize, key: usize) -> bool {
        let place = |token: usize| [token / self.side, token % self.side];
        let (query, key) = (place(query), place(key));
        (0..2).any(|axis| {
            let behind = |place: [usize; 2]| place[axis] + self.shift[axis] >= self.side;
            seams[axis] && behind(query) != behind(key)
        })
    }
}

/// What is added to scores in windows over the grid's end.
pub(super) struct Masks {
    /// Of windows with a seam between rows, between columns, and both: `[T, row]` each.
    of_seams: [Vec<f32>; 3],
}

impl Masks {
    /// Rows are `row` numbers long; those behind the keys are 0.
    pub fn new(windows: Windows, row: usize) -> Self {
        let tokens = windows.tokens();
        Self {
            of_seams: [[true, false], [false, true], [true, true]].map(|seams| {
                let needed = (0..2).all(|axis| !seams[axis] || windows.shift[axis] > 0);
                if !needed {
                    return Vec::new();
                }
                let mut mask = vec![0.0; tokens * row];
                for (query, mask) in mask.chunks_exact_mut(row).enumerate() {
                    for (key, added) in mask[..tokens].iter_mut().enumerate() {
                        if windows.hides(seams, query, key) {
                            *added = HIDDEN;
                        }
                    }
                }
                mask
            }),
        }
    }

    /// That of a window with these seams.
    pub fn of(&self, seams: [bool; 2]) -> Option<&[f32]> {
        match seams {
            [false, false] => None,
            [true, false] => Some(&self.of_seams[0]),
            [false, true] => Some(&self.of_seams[1]),
            [true, true] => Some(&self.of_seams[2]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::bands::gather, *};

    /// Tokens see each other where they are as far apart in the grid as in their window.
    #[test]
    fn a_shifted_window_ends_at_the_seam() {
        for (grid, side, shift) in [
            ([6, 9], 3, 1),
            ([8, 8], 4, 2),
            ([4, 8], 4, 3),
            ([14, 7], 7, 3),
            ([5, 5], 2, 1),
            ([3, 3], 1, 0),
        ] {
            let windows = Windows::new(grid, side, shift);
            let [rows, columns] = windows.grid;
            let places: Vec<f32> = (0..rows * columns).map(|i| i as f32).collect();
            let mut gathered = vec![0.0; windows.tokens()];
            for window in (0..rows / side)
                .flat_map(|band| (0..columns / side).map(move |beside| [band, beside]))
            {
                gather(&places, 1, windows, window, &mut gathered);
                let place = |token: usize| {
                    let place = gathered[token] as usize;
                    [(place / columns) as isize, (place % columns) as isize]
                };
                let inside = |token: usize| [(token / side) as isize, (token % side) as isize];
                for query in 0..windows.tokens() {
                    for key in 0..windows.tokens() {
                        let neighbours = (0..2).all(|axis| {
                            place(query)[axis] - place(key)[axis]
                                == inside(query)[axis] - inside(key)[axis]
                        });
                        let hidden = windows.hides(windows.seams(window), query, key);
                        assert_eq!(hidden, !neighbours, "{windows:?} {query} {key}");
                    }
                }
            }
        }
    }
}
