//! Rows of windows as slices of what belongs to a grid's tokens.

use super::Windows;

/// What belongs to the rows of tokens that a row of windows has: a slice, and of a shifted last row the
/// grid's first rows behind it.
pub(super) struct Band<'a, T> {
    parts: [&'a mut [T]; 2],
    /// Numbers of a row of tokens.
    row: usize,
}

impl<'a, T> Band<'a, T> {
    /// The bands of `image`, what belongs to all tokens of a grid, from top to bottom.
    pub fn all(image: &'a mut [T], windows: Windows) -> Vec<Self> {
        let [rows, _] = windows.grid;
        let row = image.len() / rows;
        let (front, rest) = image.split_at_mut(windows.shift[0] * row);
        let mut bands: Vec<Self> = rest
            .chunks_mut(windows.side * row)
            .map(|part| Self {
                parts: [part, &mut []],
                row,
            })
            .collect();
        if let Some(last) = bands.last_mut() {
            last.parts[1] = front;
        }
        bands
    }

    /// `count` numbers from `first` on of the band's row `row` of tokens.
    pub fn some(&mut self, row: usize, first: usize, count: usize) -> &mut [T] {
        let at = row * self.row + first;
        match at.checked_sub(self.parts[0].len()) {
            None => &mut self.parts[0][at..at + count],
            Some(behind) => &mut self.parts[1][behind..behind + count],
        }
    }
}

/// Tokens of a window that lie side by side in the grid.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Run {
    /// Number of the first one in the window.
    pub token: usize,
    /// Its row in the band.
    pub row: usize,
    /// Its column in the grid.
    pub column: usize,
    pub count: usize,
}

/// The runs of the window number `beside` of a band.
pub(super) fn runs(windows: Windows, beside: usize) -> impl Iterator<Item = Run> {
    let Windows {
        grid: [_, columns],
        side,
        shift,
    } = windows;
    let first = beside * side + shift[1];
    let inside = side.min(columns - first);
    (0..side).flat_map(move |row| {
        let run = |within, column, count| Run {
            token: row * side + within,
            row,
            column,
            count,
        };
        [run(0, first, inside), run(inside, 0, side - inside)]
            .into_iter()
            .filter(|run| run.count > 0)
    })
}

/// Row of the grid that is row `row` of band number `band`.
pub(super) fn grid_row(windows: Windows, band: usize, row: usize) -> usize {
    (band * windows.side + row + windows.shift[0]) % windows.grid[0]
}

/// What the tokens of a window have of `image`, `length` numbers each, one after the other.
pub(super) fn gather(
    image: &[f32],
    length: usize,
    windows: Windows,
    [band, beside]: [usize; 2],
    to: &mut [f32],
) {
    for run in runs(windows, beside) {
        let token = grid_row(windows, band, run.row) * windows.grid[1] + run.column;
        let from = &image[token * length..][..run.count * length];
        to[run.token * length..][..run.count * length].copy_from_slice(from);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_and_runs_reach_every_token_once_and_gather_the_same() {
        for rows in 1..=9 {
            for columns in 1..=7 {
                for side in 1..=4 {
                    for shift in 0..side {
                        let windows = Windows::new([rows, columns], side, shift);
                        let [rows, columns] = windows.grid;
                        let numbers: Vec<f32> = (0..rows * columns * 2).map(|i| i as f32).collect();
                        let mut image = numbers.clone();
                        let mut found = Vec::new();
                        for (band, mut slices) in
                            Band::all(&mut image, windows).into_iter().enumerate()
                        {
                            for beside in 0..windows.counts()[1] {
                                let mut gathered = vec![0.0; windows.tokens() * 2];
                                gather(&numbers, 2, windows, [band, beside], &mut gathered);
                                for run in runs(windows, beside) {
                                    let some = slices.some(run.row, 2 * run.column, 2 * run.count);
                                    assert_eq!(some, &gathered[2 * run.token..][..some.len()]);
                                    found.extend_from_slice(some);
                                }
                            }
                        }
                        found.sort_by(f32::total_cmp);
                        assert_eq!(found, numbers, "{windows:?}");
                    }
                }
            }
        }
    }
}
