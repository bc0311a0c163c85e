//! Templates of a site's own, which stand in for those of the program.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::templates::{LETTERS, TemplateError, is_template, translation};
use crate::domain::language::Language;
use crate::ownership;

/// The files of one directory, by name and language.
///
/// A file is named as the template that it stands in for, with its language before the ending if it is a translation:
/// `invitation.txt`, `invitation.de.txt`. What is named otherwise is an error, since a mistyped override that is ignored is found out by
/// those who get the mail. Names that begin with a dot are passed over: mounted configuration and editors leave such.
#[derive(Default)]
pub(super) struct Overrides {
    files: BTreeMap<(String, Option<Language>), File>,
}

struct File {
    path: PathBuf,
    text: String,
}

impl Overrides {
    /// Reads the directory: whoever writes it or a file there writes mail in the site's name.
    pub(super) fn read(directory: &Path, owners: &[u32]) -> Result<Self, TemplateError> {
        let unreadable = |source| TemplateError::Directory { path: directory.to_owned(), source };
        let trusted = |path: &Path, file: &fs::File| {
            ownership::check_trusted(file, owners).map_err(|flaw| TemplateError::Untrusted { path: path.to_owned(), flaw })
        };
        trusted(directory, &fs::File::open(directory).map_err(unreadable)?)?;
        let mut overrides = Self::default();
        for entry in fs::read_dir(directory).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name.starts_with('.') {
                continue;
            }
            let Some(key) = parse(&name) else { return Err(TemplateError::Unknown(path)) };
            let unreadable = |source| TemplateError::File { path: path.clone(), source };
            let mut file = ownership::open_file(&path).map_err(unreadable)?;
            trusted(&path, &file)?;
            let mut text = String::new();
            file.read_to_string(&mut text).map_err(unreadable)?;
            overrides.files.insert(key, File { path, text });
        }
        overrides.whole()?;
        Ok(overrides)
    }

    /// The languages that any file is in.
    pub(super) fn languages(&self) -> BTreeSet<Language> {
        self.files.keys().filter_map(|(_, language)| language.clone()).collect()
    }

    /// The file of a template in exactly that language, and where it was found.
    pub(super) fn find(&self, name: &str, language: Option<&Language>) -> Option<(&str, &Path)> {
        let file = self.files.get(&(name.to_owned(), language.cloned()))?;
        Some((&file.text, &file.path))
    }

    /// Mail programs show one of a letter's two forms: with one of them translated, it would be chance which language is read.
    fn whole(&self) -> Result<(), TemplateError> {
        for ((name, language), file) in &self.files {
            let (Some(language), Some((letter, ending))) = (language, name.split_once('.')) else { continue };
            if !LETTERS.contains(&letter) {
                continue;
            }
            let ending = if ending == "txt" { "html" } else { "txt" };
            let other = format!("{letter}.{ending}");
            let translated = |(name, found): &(String, Option<Language>)| {
                *name == other && found.as_ref().is_some_and(|found| found.primary() == language.primary())
            };
            if !self.files.keys().any(translated) && translation(&other, &language.without_region()).is_none() {
                return Err(TemplateError::Half { path: file.path.clone(), missing: format!("{letter}.{language}.{ending}") });
            }
        }
        Ok(())
    }
}

/// The template and the language that a file's name stands for.
fn parse(name: &str) -> Option<(String, Option<Language>)> {
    if is_template(name) {
        return Some((name.to_owned(), None));
    }
    let (rest, ending) = name.rsplit_once('.')?;
    let (stem, language) = rest.rsplit_once('.')?;
    let template = format!("{stem}.{ending}");
    is_template(&template).then_some(())?;
    Some((template, Some(language.parse().ok()?)))
}
