//! Email addresses: what is accepted, and when two are the same.

use lettre::Address;

/// An address that mail can be sent to, as it was typed, with the form that equality is judged on.
///
/// ASCII local part that doesn't begin with `-`, a dotted domain (international ones in any form that IDNA takes), at most 254
/// bytes in its ASCII form (RFC 5321), local part at most 64. Quoted local parts and address literals are refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email {
    typed: String,
    folded: String,
}

/// Why a text is no address that can be used here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEmail {
    /// Nothing was given.
    #[error("must not be empty")]
    Empty,
    /// More than 254 bytes, or more than 64 before the `@`.
    #[error("must have at most 254 bytes, 64 of them before the @")]
    TooLong,
    /// Anything else.
    #[error(
        "must be an address such as name@example.com: an unquoted ASCII part that doesn't begin with -, one @, and a dotted domain"
    )]
    Malformed,
}

impl Email {
    /// Reads what a person typed.
    pub fn parse(typed: &str) -> Result<Self, InvalidEmail> {
        if typed.is_empty() {
            return Err(InvalidEmail::Empty);
        }
        if typed.len() > 1024 {
            return Err(InvalidEmail::TooLong);
        }
        let (local, domain) = typed.split_once('@').ok_or(InvalidEmail::Malformed)?;
        if local.len() > 64 {
            return Err(InvalidEmail::TooLong);
        }
        let atom = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&byte);
        let dots = local.starts_with('.') || local.ends_with('.') || local.contains("..");
        if local.is_empty() || local.starts_with('-') || dots || !local.bytes().all(atom) {
            return Err(InvalidEmail::Malformed);
        }
        if domain.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(InvalidEmail::Malformed);
        }
        let ascii = idna::domain_to_ascii_strict(domain).map_err(|_| InvalidEmail::Malformed)?;
        let numeric_top = ascii.rsplit('.').next().is_none_or(|label| label.bytes().all(|byte| byte.is_ascii_digit()));
        let labels = ascii.split('.').all(|label| !label.is_empty() && label.len() <= 63);
        if !ascii.contains('.') || numeric_top || !labels {
            return Err(InvalidEmail::Malformed);
        }
        if local.len() + 1 + ascii.len() > 254 {
            return Err(InvalidEmail::TooLong);
        }
        // the mail library has the last word: what it can't send to is no address
        Address::new(local, &ascii).map_err(|_| InvalidEmail::Malformed)?;
        Ok(Self { typed: typed.to_owned(), folded: format!("{}@{ascii}", local.to_ascii_lowercase()) })
    }

    /// As it was typed.
    #[must_use]
    pub fn as_typed(&self) -> &str {
        &self.typed
    }

    /// The form that equality is judged on: lower case, the domain in its ASCII form.
    #[must_use]
    pub fn folded(&self) -> &str {
        &self.folded
    }

    /// The mailbox to send to: the local part as typed, since its case may matter there, at the domain's ASCII form.
    #[must_use]
    pub fn mailbox(&self) -> String {
        let local = self.typed.split('@').next().unwrap_or_default();
        let domain = self.folded.rsplit('@').next().unwrap_or_default();
        format!("{local}@{domain}")
    }
}

/// The beginning of an address, in the form that equality is judged on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmailPrefix(String);

/// Why a text is the beginning of no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must begin an address: at most 254 bytes, ASCII before the @, and a whole domain where it isn't ASCII")]
pub struct InvalidEmailPrefix;

impl EmailPrefix {
    /// Reads what a person typed. An international domain counts when it is whole: the ASCII form of its beginning begins nothing.
    pub fn parse(typed: &str) -> Result<Self, InvalidEmailPrefix> {
        let (local, domain) = typed.split_once('@').map_or((typed, None), |(local, domain)| (local, Some(domain)));
        let ascii = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        if typed.is_empty() || typed.len() > 254 || !ascii(local) {
            return Err(InvalidEmailPrefix);
        }
        let local = local.to_ascii_lowercase();
        let folded = match domain {
            None => local,
            Some(domain) if ascii(domain) => format!("{local}@{}", domain.to_ascii_lowercase()),
            Some(domain) => {
                let domain = idna::domain_to_ascii_strict(domain).map_err(|_| InvalidEmailPrefix)?;
                format!("{local}@{domain}")
            }
        };
        // an international domain may be longer in its ASCII form than it was typed
        if folded.len() > 254 { Err(InvalidEmailPrefix) } else { Ok(Self(folded)) }
    }

    /// Whether an address has it, as it was typed.
    #[must_use]
    pub fn begins(&self, typed: &str) -> bool {
        Email::parse(typed).is_ok_and(|email| email.folded().starts_with(&self.0))
    }

    /// The first text that has the prefix.
    #[must_use]
    pub fn first(&self) -> &str {
        &self.0
    }

    /// A text behind every address that has the prefix: addresses are ASCII in this form.
    #[must_use]
    pub fn end(&self) -> String {
        format!("{}{}", self.0, char::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn case_and_the_spelling_of_an_international_domain_do_not_matter_but_a_tag_does() {
        let folded = |text| Email::parse(text).expect(text).folded().to_owned();
        assert_eq!(folded("Ann@ACME.test"), folded("ann@acme.TEST"));
        assert_eq!(folded("ann@bücher.example"), folded("Ann@xn--bcher-kva.example"));
        assert_ne!(folded("a+b@acme.test"), folded("a@acme.test"));
        assert_ne!(folded("ice@acme.test"), folded("alice@acme.test"));
        assert_eq!(Email::parse("Ann@Bücher.example").expect("valid").mailbox(), "Ann@xn--bcher-kva.example");
    }

    #[test]
    fn what_no_relay_or_person_could_mean_is_refused() {
        let long_local = format!("{}@acme.test", "a".repeat(65));
        let long = format!("a@{}.test", ["a".repeat(60).as_str(); 5].join("."));
        for text in [
            "",
            "@",
            "ann",
            "ann@",
            "@acme.test",
            "ann@acme",
            "ann@@acme.test",
            "a b@acme.test",
            "-ann@acme.test",
            ".ann@acme.test",
            "an..n@acme.test",
            "\"ann\"@acme.test",
            "ann@[127.0.0.1]",
            "ann@127.0.0.1",
            "änn@acme.test",
            "ann@acme.test\r\nBcc: x@y.z",
            "ann@acme..test",
            "ann@-acme.test",
            "ann@acme.test.",
            "ann <ann@acme.test>",
            "ann@ac\u{202e}me.test",
            &long_local,
            &long,
        ] {
            assert!(Email::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_prefix_is_folded_like_the_address_that_it_begins() {
        let prefix = |text| EmailPrefix::parse(text).expect(text);
        assert_eq!(prefix("Ann@ACM"), prefix("ann@acm"));
        assert_eq!(prefix("ann@bücher.example").first(), "ann@xn--bcher-kva.example");
        let ann = Email::parse("ann@acme.test").expect("valid");
        assert!(prefix("an").first() <= ann.folded() && ann.folded() < prefix("an").end().as_str());
        assert!(ann.folded() < prefix("ann@b").first() && prefix("am").end().as_str() < ann.folded());
        let grown = format!("{}@{}example", "a".repeat(64), "ü.".repeat(25));
        assert!(grown.len() < 150);
        for text in ["", "än", "a b", "ann@ac me", "ann@bü cher", &"a".repeat(255), &grown] {
            assert!(EmailPrefix::parse(text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_folding_is_stable(text in "\\PC{0,40}@?\\PC{0,40}") {
            if let Ok(email) = Email::parse(&text) {
                let again = Email::parse(email.folded()).expect("a folded address is an address");
                prop_assert_eq!(again.folded(), email.folded());
            }
        }
    }
}
