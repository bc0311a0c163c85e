//! Passwords: what is taken as one, by NIST SP 800-63B.
//!
//! Length counts, common passwords and words of the context don't pass, and nothing is asked of the mixture of characters. Revision 4 of the
//! guideline wants 15 characters where a password is the only factor; sites that follow it raise the minimum.

use secrecy::{ExposeSecret as _, SecretString};
use unicode_normalization::UnicodeNormalization as _;

/// The most characters: the guideline asks for at least 64, and a bound keeps hashing cheap.
const MOST: usize = 256;

/// Characters of a text that are looked at. One character is spelled with four at most, so a text with more has too many in any spelling.
const LOOKED_AT: usize = 4 * MOST + 1;

/// The least that has to be left when the context's words are taken out.
const OWN: usize = 6;

/// The shortest word of a context that counts: anybody's password may have two letters of their name.
const WORD: usize = 3;

/// Characters whose strength is estimated together.
const PIECE: usize = 20;

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
    /// from the context, which is the person's address and name. All of that is asked of the spelling that is hashed: in another one
    /// "password" could be written so that nobody would guess it.
    pub fn choose(text: &str, minimum: usize, context: &[&str]) -> Result<Self, InvalidPassword> {
        let chosen = Self::typed(text);
        let text = chosen.0.expose_secret();
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
        if is_guessable(text, &words) {
            return Err(InvalidPassword::Guessable);
        }
        Ok(chosen)
    }

    /// Takes what a person typed to be compared: whatever is no password matches none. The same characters may come as different bytes from
    /// different keyboards.
    #[must_use]
    pub fn typed(text: &str) -> Self {
        Self(SecretString::from(text.chars().take(LOOKED_AT).nfkc().collect::<String>()))
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

/// Whoever guesses a password has guessed each piece of it, so it is as good as the best of them. A piece that stood before is none, and one that
/// repeats itself is judged as what it repeats: a repetition that is cut at another place looks better than it is.
///
/// The whole of a long one can't be asked about: the estimate multiplies numbers that grow with its length, and beyond 64 bits they are nonsense,
/// or a panic. The factorial of a piece's length is the largest that has room.
fn is_guessable(text: &str, words: &[&str]) -> bool {
    let text = once(text);
    let mut pieces = text;
    while !pieces.is_empty() {
        let end = pieces.char_indices().nth(PIECE).map_or(pieces.len(), |(end, _)| end);
        let (piece, rest) = pieces.split_at(end);
        let is_new = text.find(piece) == Some(text.len() - pieces.len());
        if is_new && zxcvbn::zxcvbn(once(piece), words).score() >= zxcvbn::Score::Two {
            return false;
        }
        pieces = rest;
    }
    true
}

/// What a text repeats that is made of one thing twice or more often, the last time maybe cut off; else the text itself.
fn once(text: &str) -> &str {
    let starts = text.char_indices().map(|(start, _)| start).skip(1).take_while(|start| 2 * start <= text.len());
    starts.map(|start| text.split_at(start)).find(|(_, rest)| text.starts_with(rest)).map_or(text, |(once, _)| once)
}

/// The words of a context in lower case, the longest first.
fn words(context: &[&str]) -> Vec<String> {
    let whole = context.iter().copied().chain(PRODUCT);
    let mut words: Vec<String> = whole
        .map(|text| text.nfkc().collect::<String>().to_lowercase())
        .flat_map(|text| {
            let parts = text.split(|letter: char| !letter.is_alphanumeric()).chain([&*text]);
            parts.filter(|word| word.chars().count() >= WORD).map(str::to_owned).collect::<Vec<_>>()
        })
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
        let wide = "\u{ff50}\u{ff41}\u{ff53}\u{ff53}\u{ff57}\u{ff4f}\u{ff52}\u{ff44}1";
        for common in [wide, "password", "Password1!", "qwertyuiop1234", "aaaaaaaaaaaaaaa", "dragon12", "8 characters"] {
            assert_eq!(choose(common), Err(InvalidPassword::Guessable), "{common}");
        }
    }

    #[test]
    fn a_long_password_is_judged_whatever_it_is_made_of() {
        for weak in ["bm".repeat(40), "qwerty".repeat(20), "aA".repeat(128), "1234567890".repeat(25)] {
            assert_eq!(choose(&weak), Err(InvalidPassword::Guessable), "{weak}");
        }
        for word in ["superman", "sunshine", "iloveyou", "princess", "computer", "welcome1", "dragon12", "correct"] {
            for weak in [word.repeat(3), word.repeat(3) + "1", word.repeat(30)] {
                assert_eq!(choose(&weak), Err(InvalidPassword::Guessable), "{weak}");
            }
        }
        for good in ["bm".repeat(40) + "purple otter hums", "blauer mond steigt ".repeat(13), "aAbB zZ 4$ ".repeat(20)] {
            assert_eq!(choose(&good), Ok(()), "{good}");
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
        let (composed, apart) = ("\u{f6}z \u{e4}bt ".repeat(36), "o\u{308}z a\u{308}bt ".repeat(36));
        assert_eq!((composed.chars().count(), apart.chars().count()), (252, 324));
        let chosen = |text: &str| Password::choose(text, 8, &[]).map(|password| password.expose().to_vec());
        assert_eq!(chosen(&apart), chosen(&composed));
        assert_eq!(chosen(&composed).as_deref(), Ok(Password::typed(&apart).expose()));
    }
}
