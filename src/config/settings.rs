//! Keys with their values and origins, taken one by one; what can't be taken, and what nobody took, is a violation.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Display, Write as _};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use secrecy::SecretString;

use super::ConfigError;

/// A value as its origin wrote it.
#[derive(Clone)]
pub(super) enum Raw {
    /// Typed by the file.
    Toml(toml::Value),
    /// One text, from the environment or a flag; a list is split at commas.
    Text(String),
}

struct Entry {
    raw: Raw,
    origin: String,
}

/// What the origins said, and what became of it.
#[derive(Default)]
pub(super) struct Settings {
    given: BTreeMap<String, Entry>,
    origins: BTreeMap<&'static str, String>,
    effective: BTreeMap<&'static str, (String, String)>,
    violations: BTreeSet<String>,
    pub(super) reader: Reader,
}

/// Who reads settings.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Reader {
    /// Whoever starts the service or works on its data, which is theirs if there is none yet.
    #[default]
    Owner,
    /// Whoever only looks, maybe for another user who will start the service.
    Onlooker,
}

impl Settings {
    /// Sets a key; what was set before from another origin gives way.
    pub(super) fn set(&mut self, key: String, raw: Raw, origin: String) {
        self.given.insert(key, Entry { raw, origin });
    }

    /// Whether it is that origin which sets a key.
    pub(super) fn is_from(&self, key: &str, origin: &str) -> bool {
        self.given.get(key).is_some_and(|entry| entry.origin == origin)
    }

    /// Notes what is wrong with a key.
    pub(super) fn violation(&mut self, key: &str, what: &str) {
        let origin = self.origins.get(key).map_or("not set", String::as_str);
        self.violations.insert(format!("{key} ({origin}): {what}"));
    }

    /// Notes what is wrong with an origin as a whole.
    pub(super) fn fault(&mut self, what: String) {
        self.violations.insert(what);
    }

    /// Refuses all keys that begin so, for a reason better than that they are unknown.
    pub(super) fn refuse(&mut self, prefix: &str, why: &str) {
        let keys: Vec<String> = self.given.keys().filter(|key| key.starts_with(prefix)).cloned().collect();
        for key in keys {
            if let Some(entry) = self.given.remove(&key) {
                self.violations.insert(format!("{key} ({}): {why}", entry.origin));
            }
        }
    }

    /// Ends the taking: the value with its description as TOML, or all violations.
    pub(super) fn finish<T>(mut self, value: T) -> Result<(T, String), ConfigError> {
        let one_line = |text: String| text.replace(char::is_control, "\u{fffd}");
        for (key, entry) in &self.given {
            let table = self.effective.keys().any(|known| known.starts_with(&format!("{key}.")));
            let what = if table { "must be a table" } else { "unknown key" };
            self.violations.insert(format!("{key} ({}): {what}", entry.origin));
        }
        if !self.violations.is_empty() {
            return Err(ConfigError(self.violations.into_iter().map(one_line).collect()));
        }
        let line = |(key, (value, origin)): (&&str, &(String, String))| match value.as_str() {
            "" => format!("# {key} is not set\n"),
            value => format!("{key} = {value}  # {}\n", one_line(origin.clone())),
        };
        Ok((value, self.effective.iter().map(line).collect()))
    }

    /// A key's default, told as such.
    pub(super) fn default_of<T: Display>(&mut self, key: &'static str, value: T) -> T {
        self.effective.insert(key, (quoted(&value.to_string()), "default".to_owned()));
        value
    }

    fn remove(&mut self, key: &'static str) -> Option<Raw> {
        let entry = self.given.remove(key);
        let shown = match &entry {
            None => (String::new(), String::new()),
            Some(Entry { raw: Raw::Text(text) | Raw::Toml(toml::Value::String(text)), origin }) => (quoted(text), origin.clone()),
            Some(Entry { raw: Raw::Toml(value), origin }) => (value.to_string(), origin.clone()),
        };
        self.effective.insert(key, shown);
        let Entry { raw, origin } = entry?;
        self.origins.insert(key, origin);
        Some(raw)
    }

    fn refused<T>(&mut self, key: &str, what: &str) -> Option<T> {
        self.violation(key, what);
        None
    }

    /// A text.
    pub(super) fn text(&mut self, key: &'static str) -> Option<String> {
        match self.remove(key)? {
            Raw::Text(text) | Raw::Toml(toml::Value::String(text)) => Some(text),
            Raw::Toml(_) => self.refused(key, "must be a text in quotes"),
        }
    }

    /// A text, or the default.
    pub(super) fn text_or(&mut self, key: &'static str, default: &str) -> String {
        self.text(key).unwrap_or_else(|| self.default_of(key, default.to_owned()))
    }

    /// A text that is never told.
    pub(super) fn secret(&mut self, key: &'static str) -> Option<SecretString> {
        let secret = self.text(key).map(SecretString::from);
        if let Some((value, _)) = self.effective.get_mut(key).filter(|_| secret.is_some()) {
            "\"(secret)\"".clone_into(value);
        }
        secret
    }

    /// A path that isn't empty.
    pub(super) fn path(&mut self, key: &'static str) -> Option<PathBuf> {
        match self.text(key)? {
            text if text.is_empty() => self.refused(key, "must not be empty"),
            text => Some(PathBuf::from(text)),
        }
    }

    /// A path, or the default.
    pub(super) fn path_or(&mut self, key: &'static str, default: PathBuf) -> PathBuf {
        self.path(key).unwrap_or_else(|| {
            self.default_of(key, default.display().to_string());
            default
        })
    }

    /// A text that its type parses.
    pub(super) fn parsed<T: FromStr<Err: Display>>(&mut self, key: &'static str) -> Option<T> {
        match self.text(key)?.parse() {
            Ok(value) => Some(value),
            Err(error) => self.refused(key, &error.to_string()),
        }
    }

    /// One of some words.
    pub(super) fn choice<T: Copy>(&mut self, key: &'static str, choices: &[(&str, T)]) -> Option<T> {
        let text = self.text(key)?;
        if let Some((_, value)) = choices.iter().find(|(word, _)| *word == text) {
            return Some(*value);
        }
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        self.refused(key, &format!("must be one of {}, not {text:?}", words.join(", ")))
    }

    /// One of some words, or the first.
    pub(super) fn choice_or<T: Copy>(&mut self, key: &'static str, choices: &[(&str, T)]) -> T {
        let [(word, first), ..] = choices else { unreachable!("a choice has words") };
        self.choice(key, choices).unwrap_or_else(|| {
            self.default_of(key, word);
            *first
        })
    }

    /// True or false; false unless set.
    pub(super) fn flag(&mut self, key: &'static str) -> bool {
        let flag = match self.remove(key) {
            None => None,
            Some(Raw::Toml(toml::Value::Boolean(flag))) => Some(flag),
            Some(Raw::Text(text)) if text == "true" || text == "false" => Some(text == "true"),
            Some(_) => self.refused(key, "must be true or false"),
        };
        // the environment says it in a text, which no flag is in a file
        let origin = self.origins.get(key).map_or("default", String::as_str).to_owned();
        self.effective.insert(key, (flag.unwrap_or(false).to_string(), origin));
        flag.unwrap_or(false)
    }

    /// A whole number within limits, or the default.
    pub(super) fn whole<T>(&mut self, key: &'static str, default: T, limits: RangeInclusive<T>) -> T
    where
        T: TryFrom<i64> + FromStr + PartialOrd + Display + Copy,
    {
        let raw = self.remove(key);
        let set = raw.is_some();
        let number: Option<T> = match raw {
            Some(Raw::Toml(toml::Value::Integer(number))) => T::try_from(number).ok(),
            Some(Raw::Text(text)) => text.parse().ok(),
            _ => None,
        };
        if let Some(number) = number.filter(|number| limits.contains(number)) {
            self.effective.entry(key).and_modify(|(value, _)| *value = number.to_string());
            return number;
        }
        if set {
            self.violation(key, &format!("must be a whole number from {} to {}", limits.start(), limits.end()));
        }
        self.effective.insert(key, (default.to_string(), "default".to_owned()));
        default
    }

    /// A duration of 1 to 3600 seconds, or the default.
    pub(super) fn seconds(&mut self, key: &'static str, default: u64) -> Duration {
        Duration::from_secs(self.whole(key, default, 1..=3600))
    }

    /// A duration of 1 to 3650 days, or the default; zero means none.
    pub(super) fn optional_days(&mut self, key: &'static str, default: u64) -> Option<Duration> {
        let days = self.whole(key, default, 0..=3650);
        (days > 0).then(|| Duration::from_secs(days * super::DAY))
    }

    /// A list whose items their type parses, or the default. Every bad item is told.
    pub(super) fn list<T: FromStr<Err: Display> + Display>(&mut self, key: &'static str, default: Vec<T>) -> Vec<T> {
        let texts: Option<Vec<String>> = match self.remove(key) {
            None => None,
            Some(Raw::Text(text)) => {
                Some(text.split(',').map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect())
            }
            Some(Raw::Toml(toml::Value::Array(items))) => Some(items.iter().map(item_text).collect()),
            Some(Raw::Toml(_)) => self.refused(key, "must be a list"),
        };
        let origin = self.origins.get(key).map_or("default", String::as_str).to_owned();
        let parse = |text: String| match text.parse() {
            Ok(value) => Some(value),
            Err(error) => self.refused(key, &format!("{text:?}: {error}")),
        };
        let items = texts.map_or(default, |texts| texts.into_iter().filter_map(parse).collect());
        let shown: Vec<String> = items.iter().map(|item| quoted(&item.to_string())).collect();
        self.effective.insert(key, (format!("[{}]", shown.join(", ")), origin));
        items
    }
}

/// A text in TOML, on one line whatever stands in it.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for character in text.chars() {
        let _ = match character {
            '"' | '\\' => write!(quoted, "\\{character}"),
            control if control.is_control() => write!(quoted, "\\u{:04x}", u32::from(control)),
            plain => write!(quoted, "{plain}"),
        };
    }
    quoted + "\""
}

fn item_text(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
