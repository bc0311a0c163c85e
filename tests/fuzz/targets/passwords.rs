//! Passwords that people choose, and what they type later: the password, and in lines behind it their address and name.

use unicode_normalization::UnicodeNormalization as _;
use user_management::domain::password::{InvalidPassword, Password};

pub(super) fn holds(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.split('\n');
    let (typed, context) = (lines.next().unwrap_or_default(), lines.take(2).collect::<Vec<_>>());
    let chosen = choose(typed, &context);
    for (spelling, same) in
        [("NFKC", typed.nfkc().collect::<String>()), ("NFD", typed.nfd().collect()), ("NFC", typed.nfc().collect())]
    {
        assert_eq!(choose(&same, &context), chosen, "the same characters in other bytes ({spelling}) are as good");
        if same.chars().count() <= 256 && typed.chars().count() <= 256 {
            assert_eq!(Password::typed(&same).expose(), Password::typed(typed).expose(), "{spelling}");
        }
    }
    let Ok(chosen) = chosen else { return false };
    let length = chosen.chars().count();
    assert!((8..=256).contains(&length), "{length} characters");
    assert_eq!(Password::typed(typed).expose(), chosen.as_bytes(), "what was chosen can be typed");
    assert_eq!(choose(&chosen, &context).as_deref(), Ok(&*chosen), "and again in the spelling that is hashed");
    assert!(choose(&chosen, &[&chosen]).is_err(), "one's own name is none");
    true
}

fn choose(text: &str, context: &[&str]) -> Result<String, InvalidPassword> {
    let chosen = Password::choose(text, 8, context)?;
    Ok(String::from_utf8(chosen.expose().to_vec()).expect("a text"))
}
