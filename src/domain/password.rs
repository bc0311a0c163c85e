//! Passwords: what is taken as one, by NIST SP 800-63B.
//!
//! Length counts, common passwords and words of the context don't pass, and nothing is asked of the mixture of characters. Revision 4 of the
//! guideline wants 15 characters where a password is the only factor; sites that follow it raise the minimum.

use secrecy::{ExposeSecret as _, SecretString};
use unicode_normalization::UnicodeNormalization as _;

/// The most characters: the guideline asks for at least 64, and a bound keeps hashing cheap.
const MOST: usize = 256;

/// The least that has to be left when the context's words are taken out.
const OWN: usize = 6;

/// The shortest word of a context that counts: anybody's password may have two letters of their name.
const WORD: usize = 3;

/// Words that stand for this product.
const PRODUCT: [&str; 2] = ["circonus", "inside"];

/// Why a text is no password. Says nothing of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPassword {
    /// Too few characters.
    #[error("must have at least {0} characters")]
    TooShort(usize),
    /// Too many characters.
    #[error("must have at most {MOST} characters")]
    TooLong,
    /// Little more than words that everybody knows who attacks this person.
    #[error("must not be made of one's own name or address or of the product's name")]
    OfContext,
    /// Among the first million guesses of an attacker.
    #[error("is too easy to guess; a few words that don't belong together make a good one")]
    Guessable,
}

/// A password for a login. Has no `Debug`.
#[derive(Clone)]
pub struct Password(SecretString);

impl Password {
    /// Takes what a person chose: at least `minimum` characters of any kind, and nothing that is guessed early on from common passwords or
    /// from the context, which is the person's address and name.
    pub fn choose(text: &str, minimum: usize, context: &[&str]) -> Result<Self, InvalidPassword> {
        let length = text.chars().count();
        if length < minimum {
            return Err(InvalidPassword::TooShort(minimum));
        }
        if length > MOST {
            return Err(InvalidPassword::TooLong);
        }
        let words = words(context);
        if without(text, &words).chars().count() < OWN {
            return Err(InvalidPassword::OfContext);
        }
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        if zxcvbn::zxcvbn(text, &words).score() < zxcvbn::Score::Two {
            return Err(InvalidPassword::Guessable);
        }
        Ok(Self::normalized(text))
    }

    /// Takes what a person typed to be compared: whatever is no password matches none.
    #[must_use]
    pub fn typed(text: &str) -> Self {
        let end = text.char_indices().nth(MOST + 1).map_or(text.len(), |(end, _)| end);
        Self::normalized(text.get(..end).unwrap_or_default())
    }

    /// The same characters may come as different bytes from different keyboards.
    fn normalized(text: &str) -> Self {
        Self(SecretString::from(text.nfkc().collect::<String>()))
    }

    /// The bytes to hash.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        self.0.expose_secret().as_bytes()
    }
}

/// What comparing a password with a PHC string costs: the string without salt and output, which names the algorithm and its parameters.
#[must_use]
pub fn cost(hash: &str) -> Option<&str> {
    hash.rsplitn(3, '$').nth(2)
}

/// The words of a context in lower case, the longest first.
fn words(context: &[&str]) -> Vec<String> {
    let whole = context.iter().copied().chain(PRODUCT);
    let mut words: Vec<String> = whole
        .flat_map(|text| text.split(|letter: char| !letter.is_alphanumeric()).chain([text]))
        .filter(|word| word.chars().count() >= WORD)
        .map(str::to_lowercase)
        .collect();
    words.sort_by_key(|word| std::cmp::Reverse(word.len()));
    words.dedup();
    words
}

fn without(text: &str, words: &[String]) -> String {
    let rest = words.iter().fold(text.to_lowercase(), |rest, word| rest.replace(word, ""));
    rest.split_whitespace().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(text: &str) -> Result<(), InvalidPassword> {
        Password::choose(text, 8, &["ann.smith@acme.test", "Ann Smith"]).map(|_| ())
    }

    #[test]
    fn length_counts_and_the_mixture_of_characters_does_not() {
        assert_eq!(choose("short"), Err(InvalidPassword::TooShort(8)));
        assert_eq!(choose(&"x1 y2 ".repeat(50)), Err(InvalidPassword::TooLong));
        for good in ["correct horse battery", "blauer mond steigt", "пароль из четырёх слов", "purple-otter-93"]
        {
            assert_eq!(choose(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn what_is_guessed_first_is_refused() {
        for common in ["password", "Password1!", "qwertyuiop1234", "aaaaaaaaaaaaaaa", "dragon12", "8 characters"] {
            assert_eq!(choose(common), Err(InvalidPassword::Guessable), "{common}");
        }
    }

    #[test]
    fn words_of_the_context_are_no_password_but_may_stand_in_one() {
        for known in ["circonus inside", "ann.smith@acme.test", "AnnSmith2026", "Smith-Acme-1", "Circonus!23"] {
            assert_eq!(choose(known), Err(InvalidPassword::OfContext), "{known}");
        }
        assert_eq!(choose("circonus hates my purple otter"), Ok(()));
    }

    #[test]
    fn one_character_in_two_spellings_is_one_password() {
        let (composed, apart) = (Password::typed("pa\u{df}w\u{f6}rter"), Password::typed("pa\u{df}wo\u{308}rter"));
        assert_eq!(composed.expose(), apart.expose());
    }
}
