//! How a study is made again.

use maud::{Markup, html};

use super::found::StudyResults;
use crate::provenance::command;

/// Commands, machine and recipe.
pub(super) fn again(results: &StudyResults) -> Markup {
    html! {
        section #again aria-labelledby="again-title" {
            h2 #again-title { "How it was made" }
            h3 { "All of it" }
            (command(&results.command))
            h3 { "One cell" }
            p { "With its teacher and what it is compared with; the same kind of processor gives the same numbers." }
            details {
                summary { "Commands" }
                @for cell in &results.cells { (command(&results.command_of(cell))) }
            }
            @if !results.environment.is_empty() {
                h3 { "Machine" }
                table {
                    tbody {
                        @for (name, value) in &results.environment {
                            tr { th scope="row" { (name) } td { (value) } }
                        }
                    }
                }
            }
            h3 { "Recipe" }
            pre.recipe tabindex="0" { code { (results.recipe.trim()) } }
        }
    }
}
