//! Recipes as plain tables, before they are laid over each other.

use super::{Mistake, Place, RecipeError, node};

/// Reads the TOML document `text`; errors name it as `origin`.
///
/// # Errors
/// Text that is not TOML, with its line and column.
pub fn table(text: &str, origin: &str) -> Result<toml::Table, RecipeError> {
    text.parse()
        .map_err(|error| node::no_toml(&error, text, origin))
}

/// Puts `value` where the keys of `path` lead, making the tables on the way.
///
/// # Errors
/// A key on the way that has a value of its own.
pub fn put(
    table: &mut toml::Table,
    path: &[&str],
    value: impl Into<toml::Value>,
) -> Result<(), RecipeError> {
    let Some((last, sections)) = path.split_last() else {
        return Ok(());
    };
    let mut place = table;
    for (depth, section) in sections.iter().enumerate() {
        let inner = place
            .entry(*section)
            .or_insert_with(|| toml::Table::new().into());
        place = match inner {
            toml::Value::Table(table) => table,
            value => {
                let mistake = Mistake::Value {
                    key: path[..=depth].join("."),
                    expected: format!("a section for `{}` to be in", path.join(".")),
                    found: value.to_string(),
                };
                return Err(mistake.at(Place::default()));
            }
        };
    }
    place.insert((*last).to_owned(), value.into());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_put_where_their_keys_lead_and_not_below_other_values() {
        let mut all = table("[train]\nepochs = 3\n", "a file").unwrap();
        put(&mut all, &["train", "seed"], 1).unwrap();
        put(&mut all, &["study", "teacher", "train", "epochs"], 9).unwrap();
        assert_eq!(all["train"]["epochs"].as_integer(), Some(3));
        assert_eq!(all["train"]["seed"].as_integer(), Some(1));
        let teacher = &all["study"]["teacher"];
        assert_eq!(teacher["train"]["epochs"].as_integer(), Some(9));
        let error = put(&mut all, &["train", "epochs", "more"], 1).unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains("`train.epochs`") && error.contains("found 3"),
            "{error}"
        );
        let error = table("[tra", "a file").unwrap_err().to_string();
        assert!(error.contains("a file:1:5"), "{error}");
    }
}
