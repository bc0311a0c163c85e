//! Domains that people can't tell from others, or that are written in letters of several scripts (Unicode Technical Standard 39).
//!
//! An address is compared byte by byte, and whoever reads it compares shapes: `acrne.test` and `acme.test`, or a Cyrillic а among Latin
//! letters. Nothing is refused for that, since there are such domains. Whoever invites is told.

use std::sync::Arc;

use unicode_security::{MixedScript as _, RestrictionLevel, RestrictionLevelDetection as _};

/// What to look at before an invitation's address is trusted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Suspicion {
    /// A part of the domain has letters of several scripts that no language writes together.
    pub mixes_scripts: bool,
    /// The other domain in the account that it looks like, in its ASCII form.
    pub looks_like: Option<Arc<str>>,
}

/// The domain of an address in the form that equality is judged on; none where the address was erased.
#[must_use]
pub fn domain_of(folded: &str) -> Option<&str> {
    folded.rsplit_once('@').map(|(_, domain)| domain)
}

/// What a domain looks like: those that people can't tell apart have the same one. Takes the ASCII form.
#[must_use]
pub fn skeleton(domain: &str) -> String {
    let (unicode, _) = idna::domain_to_unicode(domain);
    // a digit may look like a letter in upper case (0 and O), and a domain has no case
    unicode_security::skeleton(&unicode).collect::<String>().to_lowercase()
}

/// Whether a part of a domain has letters of several scripts that no language writes together, as Japanese does some of those with Latin.
/// Parts may be of different ones: a name in Cyrillic stands below `com` too. Takes the ASCII form.
#[must_use]
pub fn mixes_scripts(domain: &str) -> bool {
    let (unicode, _) = idna::domain_to_unicode(domain);
    unicode
        .split('.')
        .any(|label| !label.is_single_script() && !label.check_restriction_level(RestrictionLevel::HighlyRestrictive))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ascii(domain: &str) -> String {
        idna::domain_to_ascii_strict(domain).expect(domain)
    }

    fn look_alike(one: &str, other: &str) -> bool {
        skeleton(&ascii(one)) == skeleton(&ascii(other))
    }

    #[test]
    fn what_people_can_not_tell_apart_looks_the_same() {
        for other in ["acrne.test", "\u{430}cme.test", "\u{3b1}cme.test", "acm\u{435}.test", "a\u{441}me.test", "ACME.test"] {
            assert!(look_alike("acme.test", other), "{other}");
        }
        assert!(look_alike("google.test", "g00gle.test"));
        assert!(look_alike("paypal.test", "paypa1.test"));
        assert!(look_alike("apple.com", "xn--80ak6aa92e.com"), "all of it Cyrillic");
        for other in ["acme.example", "acne.test", "\u{e1}cme.test", "acme-.test".trim_end_matches("-.test"), "my-acme.test"] {
            assert!(!look_alike("acme.test", other), "{other}");
        }
    }

    #[test]
    fn scripts_are_mixed_where_no_language_mixes_them() {
        for mixed in ["\u{430}cme.test", "\u{3b1}cme.test", "mail.acm\u{435}.test", "\u{434}\u{43e}m.com"] {
            assert!(mixes_scripts(&ascii(mixed)), "{mixed}");
        }
        for plain in [
            "acme.test",
            "my-acme-24.test",
            "b\u{fc}cher.example",
            "\u{43f}\u{440}\u{438}\u{43c}\u{435}\u{440}.com",
            "\u{30c8}\u{30e8}\u{30bf}cars.test",
            "\u{4f8b}\u{3048}.test",
            "\u{d55c}\u{ad6d}abc.test",
            "\u{4e2d}\u{6587}abc.test",
            "\u{3c3}\u{3af}\u{3b3}\u{3bc}\u{3b1}.test",
            "\u{5e9}\u{5dc}\u{5d5}\u{5dd}.test",
        ] {
            assert!(!mixes_scripts(&ascii(plain)), "{plain}");
        }
    }
}
