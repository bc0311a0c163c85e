//! Names: slugs that machines use, and what people read.

use unicode_normalization::UnicodeNormalization as _;

/// Why a text is no slug.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 2 to 63 of a-z, 0-9 and -, beginning and ending with a letter or digit")]
pub struct InvalidSlug;

/// The name of an account or a service: 2 to 63 of `a-z`, `0-9` and `-`, beginning and ending with a letter or digit, so that it
/// fits into a path, a host name and a file name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slug(String);

impl Slug {
    /// Takes a text that is a slug.
    pub fn parse(text: &str) -> Result<Self, InvalidSlug> {
        let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let edges = !text.starts_with('-') && !text.ends_with('-');
        if (2..=63).contains(&text.len()) && edges && text.bytes().all(inner) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidSlug)
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Slug {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is no display name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDisplayName {
    /// Nothing, or only spaces.
    #[error("must not be empty")]
    Empty,
    /// More than 80 characters.
    #[error("must have at most 80 characters")]
    TooLong,
    /// Control characters, line ends, or characters that turn the reading direction or hide.
    #[error("must be one line without control, invisible or direction-changing characters")]
    Unprintable,
    /// Reads like a web address: a name stands in mails, where a client would turn it into a link.
    #[error("must not contain a web address")]
    WebAddress,
}

/// What people read of an account or a person: one line of 1 to 80 characters that is safe to stand in a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisplayName(String);

impl DisplayName {
    /// Takes a text, without the spaces around it.
    pub fn parse(text: &str) -> Result<Self, InvalidDisplayName> {
        let text = text.trim();
        if text.chars().all(|c| c.is_whitespace() || varies(c)) {
            return Err(InvalidDisplayName::Empty);
        }
        if text.chars().count() > 80 {
            return Err(InvalidDisplayName::TooLong);
        }
        if text.chars().any(unprintable) {
            return Err(InvalidDisplayName::Unprintable);
        }
        let lower = text.to_lowercase();
        if lower.contains("://") || lower.contains("www.") || is_linkable(text) {
            return Err(InvalidDisplayName::WebAddress);
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(c, '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e00ff}' | '\u{e01f0}'..='\u{e0fff}')
        // fillers, which take room and show nothing
        || matches!(c, '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{2800}' | '\u{3164}' | '\u{ffa0}')
}

/// Chooses how the character before it looks, and is nothing without one.
const fn varies(c: char) -> bool {
    matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}')
}

/// Whether a mail client would make a link of a part of it: `evil.example`, `evil.example/path`, `evil.EXAMPLE,now`. Some read letters as
/// they are spelled, others what they stand for.
fn is_linkable(text: &str) -> bool {
    [text.to_owned(), text.nfkc().collect()]
        .iter()
        .any(|spelled| has_host(&spelled.replace(['\u{3002}', '\u{ff0e}', '\u{ff61}'], ".")))
}

fn has_host(dotted: &str) -> bool {
    let mut hosts = dotted.split(|c: char| !c.is_alphanumeric() && c != '-' && c != '.');
    hosts.any(|host| {
        // hyphens stand before initials, as in "J.-P.SARTRE", and not behind them
        let parts: Vec<&str> = host.split('.').filter(|part| !part.is_empty()).map(|part| part.trim_start_matches('-')).collect();
        let mut splits = (1..parts.len()).map(|at| parts.split_at(at));
        splits.any(|(before, rest)| {
            let top = rest.first().map(|part| part.trim_end_matches('-'));
            top.is_some_and(|top| is_top(top) && !is_of_a_person(before, top))
        })
    })
}

/// Whether it could end a host's name.
fn is_top(part: &str) -> bool {
    let international = part.get(..4).is_some_and(|prefix| prefix.eq_ignore_ascii_case("xn--"));
    international || part.chars().count() >= 2 && part.chars().all(char::is_alphabetic)
}

/// Whether it stands behind a point as in "St.John", "J.SMITH" or "P.O.BOX". "Evil.Example" is written like that too.
fn is_of_a_person(before: &[&str], part: &str) -> bool {
    let begins_large = |part: &str| part.starts_with(char::is_uppercase);
    let is_initial = |part: &&str| begins_large(part) && part.chars().count() == 1;
    let name =
        begins_large(part) && part.chars().skip(1).all(char::is_lowercase) && before.last().copied().is_some_and(begins_large);
    name || part.chars().all(char::is_uppercase) && before.iter().all(is_initial)
}

/// Why a text is no time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a name of the IANA time zone database such as Europe/Berlin")]
pub struct UnknownTimezone;

/// A name of the IANA time zone database, spelled as it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timezone(String);

impl Timezone {
    /// Takes a name that the built-in database knows, in any case.
    pub fn parse(text: &str) -> Result<Self, UnknownTimezone> {
        let zone = jiff::tz::TimeZone::get(text).map_err(|_| UnknownTimezone)?;
        zone.iana_name().map(|name| Self(name.to_owned())).ok_or(UnknownTimezone)
    }

    /// The zone of an account that named none.
    #[must_use]
    pub fn utc() -> Self {
        Self("UTC".to_owned())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_fit_into_host_names() {
        for text in ["acme", "a1", "a-b", &"a".repeat(63)] {
            assert!(Slug::parse(text).is_ok(), "{text}");
        }
        for text in ["", "a", "-ab", "ab-", "Acme", "a_b", "a b", "ä1", &"a".repeat(64)] {
            assert!(Slug::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn names_of_people_are_taken_and_web_addresses_are_not() {
        for text in ["Ann", "J.R. O'Neill", "St.John", "Ann, Dr.", "Zoë \u{2764}\u{fe0f}", "李小龍", "Acme Inc.", " Ann "] {
            assert!(DisplayName::parse(text).is_ok(), "{text}");
        }
        for text in [
            "J.SMITH",
            "J.Smith",
            "J.-P.SARTRE",
            "J.-P. Sartre",
            "P.O.BOX 5",
            "E.ON SE",
            "Hans.Müller",
            "И.И.Иванов",
            "И. Иванов",
            "U.S.A.",
            "Version 2.0",
        ] {
            assert!(DisplayName::parse(text).is_ok(), "{text}");
        }
        for text in [
            "win at evil.example",
            "http://x",
            "WWW.evil.com",
            "(evil.example/now)",
            "evil.example:80",
            "evil.example,now",
            "evil.example;(now)",
            "ann@evil.example!now",
            "evil.COM",
            "evil.xn--p1ai",
            "evil\u{3002}example",
            "evil\u{3002}mo\u{308}2",
            "a..evil.example",
            "evil.Com",
            "evil.CoM",
            "Evil.eXample",
            "J.EVIL.COM",
            "O.-.AT",
            "P-.AT",
            "evil.example..now",
            "evil.example.5",
            "evil.рф",
            "евил.рф",
            "evil.ｃｏｍ",
            "ｅｖｉｌ．ｃｏｍ",
        ] {
            assert_eq!(DisplayName::parse(text), Err(InvalidDisplayName::WebAddress), "{text}");
        }
        for text in ["Ann\nBcc: x", "Ann\u{202e}nnA", "a\u{200b}b", "\u{3164}", "a\u{2800}b", "\u{115f}\u{1160}"] {
            assert_eq!(DisplayName::parse(text), Err(InvalidDisplayName::Unprintable), "{text:?}");
        }
        for text in ["  ", "\u{fe0f}", " \u{e0100}"] {
            assert_eq!(DisplayName::parse(text), Err(InvalidDisplayName::Empty), "{text:?}");
        }
        assert_eq!(DisplayName::parse(&"x".repeat(81)), Err(InvalidDisplayName::TooLong));
    }

    #[test]
    fn time_zones_are_spelled_as_the_database_spells_them() {
        assert_eq!(Timezone::parse("europe/berlin").map(|zone| zone.as_str().to_owned()), Ok("Europe/Berlin".to_owned()));
        for text in ["", "Mars/Phobos", "../etc/passwd", "+02:00"] {
            assert!(Timezone::parse(text).is_err(), "{text}");
        }
    }
}
