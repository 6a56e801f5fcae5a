//! Colours of charts: variables of the page, and what plotters draws in their place.

use plotters::style::RGBColor;

/// What a colour stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    /// The student.
    Student,
    /// The baseline.
    Baseline,
    /// The upper bound.
    UpperBound,
    /// The teacher.
    Teacher,
    /// Grid lines.
    Grid,
    /// Axes, zero lines and quiet text.
    Quiet,
    /// The page's own text.
    Text,
    /// The ground under the chart.
    Ground,
}

impl Ink {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Student,
        Self::Baseline,
        Self::UpperBound,
        Self::Teacher,
        Self::Grid,
        Self::Quiet,
        Self::Text,
        Self::Ground,
    ];

    /// The CSS variable that holds the colour.
    pub fn variable(self) -> &'static str {
        match self {
            Self::Student => "var(--student)",
            Self::Baseline => "var(--baseline)",
            Self::UpperBound => "var(--upper-bound)",
            Self::Teacher => "var(--teacher)",
            Self::Grid => "var(--grid)",
            Self::Quiet => "var(--quiet)",
            Self::Text => "var(--text)",
            Self::Ground => "var(--ground)",
        }
    }

    /// The colour that plotters draws it in.
    pub fn stand_in(self, dashed: bool) -> RGBColor {
        RGBColor(self as u8, u8::from(dashed), 0x2a)
    }
}
