//! What a reader may choose to see, and in which order: inputs, and the style sheet that reads them. No
//! script runs in a page.

use std::fmt::Write as _;

use maud::{Markup, html};

use super::{
    axes::{CellAxis, axes},
    found::{StudyCell, StudyResults},
    row::{StudyRow, StudyVerdict},
    sorting::{Order, orders},
};

/// The choices that a study leaves.
///
/// Whatever shows a cell (a row, a dot, a figure) has the classes of [`Choices::classes`]; what is not chosen
/// is not displayed, and rows have their place in every order as a variable of their class.
pub(super) struct Choices {
    axes: Vec<CellAxis>,
    verdicts: Vec<Shown>,
    orders: Vec<Order>,
    rows: usize,
}

/// A choice of verdicts: its name, what it is called, and the verdicts that it shows.
type Shown = (&'static str, &'static str, &'static [StudyVerdict]);

const SHOWN: [Shown; 3] = [
    (
        "settled",
        "settled",
        &[StudyVerdict::Better, StudyVerdict::Worse],
    ),
    ("better", "better", &[StudyVerdict::Better]),
    ("worse", "worse", &[StudyVerdict::Worse]),
];

impl Choices {
    /// Those among `rows`, which stand by their gains; none where there is nothing to choose from.
    pub(super) fn of(results: &StudyResults, rows: &[StudyRow<'_>]) -> Self {
        let several = rows.len() > 1;
        let there = |verdict: &StudyVerdict| rows.iter().any(|row| row.verdict() == *verdict);
        // A choice that shows all of its verdicts, and not every row.
        let tells = |(_, _, shown): &Shown| {
            let every = rows.iter().all(|row| shown.contains(&row.verdict()));
            shown.iter().all(there) && !every
        };
        let orders = results
            .measure
            .as_ref()
            .map(|measure| orders(rows, measure));
        Self {
            axes: if several { axes(results) } else { Vec::new() },
            verdicts: SHOWN.into_iter().filter(tells).collect(),
            orders: orders.unwrap_or_default(),
            rows: rows.len(),
        }
    }

    /// What a cell is called: by its method alone where cells differ in nothing else.
    pub(super) fn name<'a>(&self, cell: &'a StudyCell) -> &'a str {
        match self.axes.is_empty() {
            true => &cell.method,
            false => &cell.name,
        }
    }

    /// The classes of what shows the cell of a row; `place` is the row's, by gain.
    pub(super) fn classes(&self, row: &StudyRow<'_>, place: usize) -> String {
        let verdict = class_of(row.verdict());
        let mut classes = format!("c r{place} {verdict}");
        for class in self.axes.iter().flat_map(|axis| axis.classes(row.cell)) {
            let _ = write!(classes, " {class}");
        }
        classes
    }

    /// The classes of what shows a cell that is compared with nothing: no choice of verdicts hides it.
    pub(super) fn baseline_classes(&self, cell: &StudyCell) -> String {
        let mut classes = "c vb vw".to_owned();
        for class in self.axes.iter().flat_map(|axis| axis.classes(cell)) {
            let _ = write!(classes, " {class}");
        }
        classes
    }

    /// The inputs.
    pub(super) fn controls(&self) -> Markup {
        if self.orders.is_empty() {
            return html! {};
        }
        html! {
            // Nothing can be sent: a form of this method outside of a dialogue does nothing.
            form.choices method="dialog" aria-label="What is shown" {
                @for axis in &self.axes {
                    fieldset {
                        legend { (axis.title) }
                        (radio(&axis.letter.to_string(), "all", "any", true))
                        @for (place, value) in axis.values.iter().enumerate() {
                            (radio(&axis.letter.to_string(), &axis.class(place), value, false))
                        }
                    }
                }
                @if !self.verdicts.is_empty() {
                    fieldset {
                        legend { "verdict" }
                        (radio("v", "all", "any", true))
                        @for (id, title, _) in &self.verdicts { (radio("v", id, title, false)) }
                    }
                }
                fieldset {
                    legend { "sorted by" }
                    (told_radio("o", "gain", "gain", "the largest first", true))
                    @for order in &self.orders { (told_radio("o", order.id, order.title, order.first, false)) }
                }
                button type="reset" { "Start over" }
                p.unseen {
                    "These choices act on all tables and charts below. Where a browser reads a page in the order in which \
                     it is written, rows are read by their gains."
                }
            }
        }
    }

    /// How many rows are shown, counted by the style sheet.
    pub(super) fn shown(&self) -> Markup {
        if self.axes.is_empty() && self.verdicts.is_empty() {
            return html! {};
        }
        html! { p.shown { span.count {} " of " (self.rows) " pairs of method and student are shown." } }
    }

    /// The style sheet that reads the inputs.
    pub(super) fn sheet(&self) -> String {
        let mut sheet = String::new();
        for axis in &self.axes {
            for place in 0..axis.values.len() {
                let class = axis.class(place);
                let chosen = chosen(&axis.letter.to_string(), &class);
                let _ = writeln!(
                    sheet,
                    "{chosen} .c:not(.{class}) {{ display: none !important; }}"
                );
            }
        }
        for (id, _, verdicts) in &self.verdicts {
            let kept: String = (verdicts.iter())
                .map(|verdict| format!(":not(.{})", class_of(*verdict)))
                .collect();
            let _ = writeln!(
                sheet,
                "{} .c{kept} {{ display: none !important; }}",
                chosen("v", id)
            );
        }
        for order in &self.orders {
            let id = order.id;
            let _ = writeln!(sheet, "{} .c {{ order: var(--{id}); }}", chosen("o", id));
        }
        if !self.orders.is_empty() {
            for row in 0..self.rows {
                let places = self.orders.iter().map(|order| {
                    let place = order.places.get(row).copied().unwrap_or_default();
                    format!("--{}:{place}", order.id)
                });
                let _ = writeln!(sheet, ".r{row}{{{}}}", places.collect::<Vec<_>>().join(";"));
            }
        }
        sheet
    }
}

/// The class that a verdict has in the page.
fn class_of(verdict: StudyVerdict) -> &'static str {
    match verdict {
        StudyVerdict::Better => "vb",
        StudyVerdict::Worse => "vw",
        StudyVerdict::Open => "vo",
        StudyVerdict::Unknown => "vu",
    }
}

/// A selector of the page where the input `id` of a group is chosen.
fn chosen(group: &str, id: &str) -> String {
    format!(".page:has(#{group}-{id}:checked)")
}

fn radio(group: &str, id: &str, title: &str, checked: bool) -> Markup {
    told_radio(group, id, title, title, checked)
}

/// One that tells more where it is pointed at.
fn told_radio(group: &str, id: &str, title: &str, told: &str, checked: bool) -> Markup {
    html! {
        label title=(told) {
            input type="radio" name=(group) id={ (group) "-" (id) } checked=[checked.then_some("checked")];
            span { (title) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::{row::study_rows, testing::study};

    fn page_of(results: &StudyResults) -> (String, String) {
        let rows = study_rows(results);
        let choices = Choices::of(results, &rows);
        (choices.controls().into_string(), choices.sheet())
    }

    #[test]
    fn there_is_a_choice_of_what_varies_alone() {
        let mut results = study();
        let (controls, sheet) = page_of(&results);
        assert!(!controls.contains("<legend>student") && controls.contains("id=\"o-time\""));
        // One of three is better, none is worse: those that are settled are those that are better.
        assert!(controls.contains("id=\"v-better\"") && !controls.contains("id=\"v-worse\""));
        assert!(!controls.contains("id=\"v-settled\""));
        assert!(
            sheet
                .contains(".page:has(#v-better:checked) .c:not(.vb) { display: none !important; }")
        );
        results.cells[3].student = "resnet14".to_owned();
        let (controls, sheet) = page_of(&results);
        assert!(controls.contains("<legend>student") && controls.contains("id=\"s-s1\""));
        assert!(
            sheet.contains(".page:has(#s-s1:checked) .c:not(.s1) { display: none !important; }")
        );
        results.cells.truncate(2);
        let (controls, sheet) = page_of(&results);
        assert!(controls.is_empty() && sheet.is_empty(), "{controls}");
    }

    #[test]
    fn every_row_has_its_place_in_every_order_and_baselines_are_never_hidden_by_verdicts() {
        let results = study();
        let rows = study_rows(&results);
        let choices = Choices::of(&results, &rows);
        assert!(
            choices
                .sheet()
                .contains(".r0{--name:2;--value:1;--time:2}\n.r1{--name:1;--value:2;--time:1}")
        );
        assert_eq!(choices.classes(&rows[0], 0), "c r0 vb");
        assert_eq!(choices.baseline_classes(rows[0].beside), "c vb vw");
    }
}
