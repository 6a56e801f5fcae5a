//! Shapes drawn as ids.
//!
//! LabelMe draws with Pillow, whose polygons include their outline: a pixel belongs to a shape if its
//! centre lies inside, or if the outline passes through it. Here the same rules are followed on whole
//! pixels; where an outline has fractions, a pixel at the rim may differ from Pillow's.

/// A mask in the making, 0 where nothing is drawn.
#[derive(Debug)]
pub(super) struct Canvas {
    pub width: usize,
    pub height: usize,
    /// `height · width` ids.
    pub ids: Vec<u16>,
}

impl Canvas {
    pub fn new(width: usize, height: usize) -> Self {
        Self {
            width,
            height,
            ids: vec![0; width * height],
        }
    }

    /// Sets the pixels of row `y` from column `from` to `to`, both included, that there are.
    fn span(&mut self, y: i64, from: i64, to: i64, id: u16) {
        if y < 0 || y >= self.height as i64 {
            return;
        }
        let from = from.max(0);
        let to = to.min(self.width as i64 - 1);
        if from <= to {
            let start = y as usize * self.width;
            self.ids[start + from as usize..=start + to as usize].fill(id);
        }
    }

    /// A polygon by the even-odd rule, its outline included.
    pub fn polygon(&mut self, points: &[[f64; 2]], id: u16) {
        let edges = || points.iter().zip(points.iter().cycle().skip(1));
        let rows = points.iter().map(|point| point[1]);
        let top = rows.clone().fold(f64::INFINITY, f64::min).floor().max(0.0) as i64;
        let bottom = rows.fold(f64::NEG_INFINITY, f64::max).ceil();
        let bottom = bottom.min(self.height as f64 - 1.0) as i64;
        let mut crossings = Vec::new();
        for y in top..=bottom {
            let row = y as f64;
            crossings.clear();
            for (a, b) in edges() {
                let (upper, lower) = if a[1] <= b[1] { (a, b) } else { (b, a) };
                // Half open, so that a corner counts once.
                if upper[1] <= row && row < lower[1] {
                    let share = (row - upper[1]) / (lower[1] - upper[1]);
                    crossings.push(upper[0] + share * (lower[0] - upper[0]));
                }
            }
            crossings.sort_by(f64::total_cmp);
            for pair in crossings.chunks_exact(2) {
                self.span(y, pair[0].ceil() as i64, pair[1].floor() as i64, id);
            }
        }
        for (a, b) in edges() {
            self.line(*a, *b, id);
        }
    }

    /// The pixels through which a line passes, one for each step of its longer side.
    fn line(&mut self, a: [f64; 2], b: [f64; 2], id: u16) {
        let across = (b[0] - a[0]).abs() >= (b[1] - a[1]).abs();
        let (long, short) = if across { (0, 1) } else { (1, 0) };
        let (first, last) = if a[long] <= b[long] { (a, b) } else { (b, a) };
        let most = if across { self.width } else { self.height } as f64;
        let from = first[long].round().max(0.0);
        let to = last[long].round().min(most - 1.0);
        let length = last[long] - first[long];
        let mut at = from;
        while at <= to {
            let share = if length > 0.0 {
                ((at - first[long]) / length).clamp(0.0, 1.0)
            } else {
                0.0
            };
            let other = (first[short] + share * (last[short] - first[short])).round();
            let (x, y) = if across { (at, other) } else { (other, at) };
            self.span(y as i64, x as i64, x as i64, id);
            at += 1.0;
        }
    }

    /// A line of so many pixels across.
    pub fn thick_line(&mut self, a: [f64; 2], b: [f64; 2], width: f64, id: u16) {
        let length = (b[0] - a[0]).hypot(b[1] - a[1]);
        if length > 0.0 {
            let side = [
                -(b[1] - a[1]) / length * width / 2.0,
                (b[0] - a[0]) / length * width / 2.0,
            ];
            let corner =
                |end: [f64; 2], sign: f64| [end[0] + sign * side[0], end[1] + sign * side[1]];
            let corners = [
                corner(a, 1.0),
                corner(b, 1.0),
                corner(b, -1.0),
                corner(a, -1.0),
            ];
            self.polygon(&corners, id);
        }
    }

    /// The rectangle between two corners, in any order, both included.
    pub fn rectangle(&mut self, a: [f64; 2], b: [f64; 2], id: u16) {
        let [left, right] = [a[0].min(b[0]), a[0].max(b[0])].map(|x| x.round() as i64);
        let [top, bottom] = [a[1].min(b[1]), a[1].max(b[1])].map(|y| y.round());
        let last = bottom.min(self.height as f64 - 1.0) as i64;
        for y in top.max(0.0) as i64..=last {
            self.span(y, left, right, id);
        }
    }

    /// The circle around `centre` through `rim`.
    pub fn circle(&mut self, centre: [f64; 2], rim: [f64; 2], id: u16) {
        let radius = (rim[0] - centre[0]).hypot(rim[1] - centre[1]);
        let first = (centre[1] - radius).ceil().max(0.0) as i64;
        let last = (centre[1] + radius).floor().min(self.height as f64 - 1.0) as i64;
        for y in first..=last {
            let away = y as f64 - centre[1];
            let half = (radius * radius - away * away).max(0.0).sqrt();
            let (from, to) = ((centre[0] - half).ceil(), (centre[0] + half).floor());
            self.span(y, from as i64, to as i64, id);
        }
    }

    /// The pixels that are set in a picture of rows of `width`, whose corner lies at (`left`, `top`).
    pub fn stamp(&mut self, left: i64, top: i64, width: usize, set: &[u16], id: u16) {
        for (y, row) in set.chunks_exact(width.max(1)).enumerate() {
            for (x, _) in row.iter().enumerate().filter(|(_, set)| **set > 0) {
                let x = left + x as i64;
                self.span(top + y as i64, x, x, id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows as text, `.` for 0.
    fn text(canvas: &Canvas) -> Vec<String> {
        let row = |row: &[u16]| {
            row.iter()
                .map(|id| [".", "#", "o"][usize::from(*id)])
                .collect()
        };
        canvas.ids.chunks_exact(canvas.width).map(row).collect()
    }

    #[test]
    fn polygons_fill_by_the_even_odd_rule_with_their_outline() {
        let mut canvas = Canvas::new(6, 4);
        canvas.polygon(&[[1.0, 0.0], [4.0, 0.0], [4.0, 3.0], [1.0, 3.0]], 1);
        assert_eq!(text(&canvas), [".####.", ".####.", ".####.", ".####."]);
        let mut canvas = Canvas::new(5, 5);
        canvas.polygon(&[[2.0, 0.0], [4.0, 4.0], [0.0, 4.0]], 1);
        assert_eq!(text(&canvas)[0], "..#..");
        assert_eq!(text(&canvas)[4], "#####");
        assert_eq!(text(&canvas)[2], ".###.");
        // Twice around the same square is outside again, but for the outline.
        let square = [[0.0, 0.0], [4.0, 0.0], [4.0, 4.0], [0.0, 4.0]];
        let mut canvas = Canvas::new(5, 5);
        canvas.polygon(&[square, square].concat(), 1);
        assert_eq!(text(&canvas)[2], "#...#");
    }

    #[test]
    fn shapes_beyond_the_image_are_cut() {
        let mut canvas = Canvas::new(3, 2);
        canvas.polygon(&[[-9.0, -9.0], [9e6, -9.0], [9e6, 9e6], [-9.0, 9e6]], 1);
        assert_eq!(text(&canvas), ["###", "###"]);
        canvas.rectangle([9.0, 9.0], [1.0, 1.0], 2);
        assert_eq!(text(&canvas), ["###", "#oo"]);
        canvas.circle([-50.0, 0.0], [-40.0, 0.0], 2);
        canvas.rectangle([0.0, -9.0], [2.0, -5.0], 2);
        assert_eq!(text(&canvas), ["###", "#oo"]);
    }

    #[test]
    fn circles_and_stamps_cover_what_they_should() {
        let mut canvas = Canvas::new(5, 5);
        canvas.circle([2.0, 2.0], [2.0, 0.0], 1);
        assert_eq!(text(&canvas), ["..#..", ".###.", "#####", ".###.", "..#.."]);
        canvas.stamp(3, 3, 2, &[1, 0, 1, 1, 1, 1], 2);
        assert_eq!(text(&canvas)[3], ".##o.");
        assert_eq!(text(&canvas)[4], "..#oo");
    }
}
