//! Names: of accounts, services and people, of time zones and languages.

use user_management::domain::language::Language;
use user_management::domain::name::{DisplayName, Slug, Timezone};

pub(super) fn holds(bytes: &[u8]) -> bool {
    let text = &*String::from_utf8_lossy(bytes);
    let taken = [slug(text), display_name(text), timezone(text), language(text)];
    taken.contains(&true)
}

fn slug(text: &str) -> bool {
    let Ok(slug) = Slug::parse(text) else { return false };
    assert_eq!(slug.as_str(), text);
    assert!((2..=63).contains(&text.len()), "{text}");
    assert!(text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-')), "{text}");
    assert!(!text.starts_with('-') && !text.ends_with('-'), "{text}");
    true
}

fn display_name(text: &str) -> bool {
    let Ok(name) = DisplayName::parse(text) else { return false };
    let name = name.as_str();
    assert_eq!(DisplayName::parse(name).as_ref().map(DisplayName::as_str), Ok(name), "taken again as it is");
    assert!((1..=80).contains(&name.chars().count()) && name.trim() == name, "{name:?}");
    let seen = name.chars().filter(|character| !character.is_whitespace() && !is_unseen(*character));
    assert!(seen.count() > 0, "{name:?} shows nothing");
    assert!(!name.chars().any(|character| character.is_control() || turns(character)), "{name:?}");
    // full stops of other scripts part labels too (UTS #46)
    let dotted = name.replace(['\u{3002}', '\u{ff0e}', '\u{ff61}'], ".");
    assert!(!name.contains("://") && links(&dotted).is_none(), "{name:?} would be made a link: {:?}", links(&dotted));
    true
}

/// Characters that take room or none and show nothing.
fn is_unseen(character: char) -> bool {
    matches!(character, '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}')
        || matches!(character, '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}')
        || matches!(character, '\u{e0000}'..='\u{e0fff}')
}

/// Characters that turn the reading direction, or end a line.
fn turns(character: char) -> bool {
    matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{85}')
}

/// The part of a name that mail programs take for a host: labels with dots between, the last of them a top-level domain as they are written.
/// Behind initials, as in "J.SMITH" or "J.-P.SARTRE", stands a person's name.
fn links(name: &str) -> Option<&str> {
    let host = |character: char| character.is_alphanumeric() || matches!(character, '-' | '.');
    name.split(|character| !host(character)).map(|word| word.trim_matches(['-', '.'])).find(|word| {
        let Some((rest, top)) = word.rsplit_once('.') else { return false };
        let written = |one_case: fn(&u8) -> bool| top.len() >= 2 && top.bytes().all(|byte| one_case(&byte));
        let is_initial = |part: &str| {
            let part = part.trim_start_matches('-');
            part.chars().count() == 1 && part.starts_with(char::is_uppercase)
        };
        let large = written(u8::is_ascii_uppercase) && !rest.split('.').filter(|part| !part.is_empty()).all(is_initial);
        !rest.ends_with('.') && (written(u8::is_ascii_lowercase) || large)
    })
}

fn timezone(text: &str) -> bool {
    let Ok(zone) = Timezone::parse(text) else { return false };
    assert!(zone.as_str().eq_ignore_ascii_case(text), "{text:?} is spelled {}", zone.as_str());
    assert_eq!(Timezone::parse(zone.as_str()).as_ref(), Ok(&zone));
    true
}

fn language(text: &str) -> bool {
    let Ok(language) = text.parse::<Language>() else { return false };
    assert_eq!(language.to_string(), text);
    assert_eq!(language.without_region().as_str(), language.primary());
    assert!(text.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'-'), "a file may be named for it: {text}");
    true
}
