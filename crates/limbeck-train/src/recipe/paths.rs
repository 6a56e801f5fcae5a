//! Paths of a recipe that are found again from any working folder.

use std::path::Path;

use super::Recipe;

/// What stands before the folder of a cache that is a teacher.
const CACHE: &str = "cache:";

impl Recipe {
    /// The same with absolute paths, where a name leads to a file or folder; names of the zoo and
    /// of generated data stay.
    #[must_use]
    pub fn with_absolute_paths(&self) -> Self {
        let mut recipe = self.clone();
        recipe.data.path = absolute(&recipe.data.path);
        if let Some(target) = &mut recipe.data.target {
            target.path = absolute(&target.path);
            let drawings = [&mut target.source_drawings, &mut target.target_drawings];
            for folder in drawings.into_iter().flatten() {
                *folder = absolute(folder);
            }
        }
        let named = [
            &mut recipe.teacher.source,
            &mut recipe.teacher.classes,
            &mut recipe.teacher.backbone,
            &mut recipe.student.weights,
            &mut recipe.student.backbone,
        ];
        for place in recipe.method.networks_mut() {
            if let toml::Value::String(name) = place {
                *name = absolute(name);
            }
        }
        for name in named.into_iter().flatten() {
            *name = match name.strip_prefix(CACHE) {
                Some(folder) => format!("{CACHE}{}", absolute(folder)),
                None => absolute(name),
            };
        }
        recipe
    }
}

fn absolute(name: &str) -> String {
    let path = Path::new(name);
    match std::path::absolute(path) {
        Ok(found) if path.exists() => found
            .to_str()
            .map_or_else(|| name.to_owned(), str::to_owned),
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_gets_an_absolute_path_and_names_stay() {
        let mut recipe = Recipe::default();
        recipe.data.path = "shapes:100".to_owned();
        recipe.teacher.source = Some("resnet8".to_owned());
        recipe.student.weights = Some("src".to_owned());
        recipe.teacher.classes = Some("src".to_owned());
        let found = recipe.with_absolute_paths();
        assert_eq!(found.data.path, "shapes:100");
        assert_eq!(found.teacher.source.as_deref(), Some("resnet8"));
        for found in [found.student.weights, found.teacher.classes] {
            let found = found.unwrap();
            assert!(Path::new(&found).is_absolute() && found.ends_with("src"));
        }
        recipe.teacher.source = Some("cache:src".to_owned());
        let source = recipe.with_absolute_paths().teacher.source.unwrap();
        assert!(Path::new(source.strip_prefix(CACHE).unwrap()).is_absolute());
    }
}
