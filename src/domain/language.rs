//! Languages that mails are written in.

use std::fmt;
use std::str::FromStr;

/// A language as file names and the configuration spell it: `de`, or with a region `de-AT` (BCP 47).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Language(String);

/// Why a text names no language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a language such as de, or with a region de-AT")]
pub struct InvalidLanguage;

impl Language {
    /// The language that the program itself speaks.
    #[must_use]
    pub fn english() -> Self {
        Self("en".to_owned())
    }

    /// As it is spelt.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The language without its region.
    #[must_use]
    pub fn primary(&self) -> &str {
        self.0.split('-').next().unwrap_or(&self.0)
    }

    /// The language as it is spoken anywhere.
    #[must_use]
    pub fn without_region(&self) -> Self {
        Self(self.primary().to_owned())
    }

    /// Whether it is English, of whatever region.
    #[must_use]
    pub fn is_english(&self) -> bool {
        self.primary() == "en"
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Language {
    type Err = InvalidLanguage;

    fn from_str(text: &str) -> Result<Self, InvalidLanguage> {
        let (primary, region) = text.split_once('-').map_or((text, None), |(primary, region)| (primary, Some(region)));
        let named = (2..=3).contains(&primary.len()) && primary.bytes().all(|byte| byte.is_ascii_lowercase());
        let placed = region.is_none_or(|region| region.len() == 2 && region.bytes().all(|byte| byte.is_ascii_uppercase()));
        if named && placed { Ok(Self(text.to_owned())) } else { Err(InvalidLanguage) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_has_one_spelling() {
        for text in ["de", "gsw", "de-AT"] {
            assert_eq!(text.parse::<Language>().expect("valid").as_str(), text);
        }
        for text in ["", "d", "DE", "de-at", "de_AT", "deutsch", "de-", "../de", "de.txt"] {
            assert_eq!(text.parse::<Language>(), Err(InvalidLanguage), "{text}");
        }
    }
}
