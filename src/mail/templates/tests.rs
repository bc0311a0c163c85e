use std::fs;

use super::*;

const SITE: &str = "https://site.test";

fn french() -> Language {
    "fr".parse().expect("a language")
}

/// Loads with these files in the directory.
fn load(files: &[(&str, &str)], language: Language) -> Result<Templates, String> {
    let directory = tempfile::tempdir().expect("a directory");
    for (name, text) in files {
        fs::write(directory.path().join(name), text).expect("written");
    }
    let place = format!("{}/", directory.path().display());
    Templates::load(SITE, Some((directory.path(), &[])), language)
        .map_err(|fault| crate::domain::error::chain(&fault).replace(&place, "DIR/"))
}

fn words(templates: &Templates, letter: &Letter) -> Words {
    templates.words(letter, "ann@acme.test").expect("rendered")
}

const LOGIN_EXISTS: [(&str, &str); 2] = [
    ("login_exists.fr.txt", "Subject: Vous avez un compte\n\nIdentifiez-vous: {{ site }}\n"),
    ("login_exists.fr.html", "{% extends \"layout.html\" %}{% block content %}<p>Identifiez-vous</p>{% endblock %}"),
];

#[test]
fn a_time_is_told_in_its_zone_and_without_words_in_other_languages() {
    let time = Timestamp::from_micros(1_796_130_300_000_000);
    let templates = Templates::load(SITE, None, Language::english()).expect("loaded");
    assert_eq!(templates.moment(time, "Europe/Berlin"), "Tuesday, 1 December 2026, 14:05 (Europe/Berlin)");
    assert_eq!(templates.moment(time, "UTC"), "Tuesday, 1 December 2026, 13:05 (UTC)");
    assert_eq!(templates.moment(time, "Mars/Phobos"), "2026-12-01T13:05:00Z");
    let templates = load(&LOGIN_EXISTS, french()).expect("loaded");
    assert_eq!(templates.moment(time, "Europe/Berlin"), "2026-12-01 14:05 (Europe/Berlin)");
}

#[test]
fn a_letter_is_in_the_chosen_language_where_the_directory_has_it_and_in_the_next_best_elsewhere() {
    let mut files = LOGIN_EXISTS.to_vec();
    files.push(("password_changed.txt", "Subject: Changed\n\nOn {{ at }}.\n"));
    let letters = [
        Letter::LoginExists,
        Letter::PasswordChanged { at: Timestamp::from_micros(0) },
        Letter::Test { at: Timestamp::from_micros(0) },
    ];
    for (language, subjects) in [
        ("fr", ["Vous avez un compte", "Changed", "Test mail from https://site.test"]),
        ("fr-CA", ["Vous avez un compte", "Changed", "Test mail from https://site.test"]),
        ("en", ["You already have a Circonus login", "Changed", "Test mail from https://site.test"]),
    ] {
        let templates = load(&files, language.parse().expect("a language")).expect("loaded");
        let found: Vec<String> = letters.iter().map(|letter| words(&templates, letter).subject).collect();
        assert_eq!(found, subjects, "{language}");
    }
    let templates = load(&files, french()).expect("loaded");
    let Words { text, html, .. } = words(&templates, &Letter::LoginExists);
    assert_eq!(text, "Identifiez-vous: https://site.test");
    assert!(html.contains("<html lang=\"fr\">") && html.contains("<title>Vous avez un compte</title>"), "{html}");
}

#[test]
fn the_program_speaks_german_and_a_site_may_say_part_of_it_differently() {
    let german: Language = "de-AT".parse().expect("a language");
    let own = [
        ("login_exists.de.txt", "Subject: Schon da\n\n{{ site }}\n"),
        ("password_changed.txt", "Subject: Changed\n\n{{ at }}\n"),
    ];
    let templates = load(&own, german.clone()).expect("loaded");
    let at = Timestamp::from_micros(0);
    let letters = [Letter::LoginExists, Letter::PasswordChanged { at }, Letter::Test { at }];
    let subjects = letters.each_ref().map(|letter| words(&templates, letter).subject);
    assert_eq!(subjects, ["Schon da", "Ihr Circonus-Passwort wurde geändert", "Testmail von https://site.test"]);
    let templates = Templates::load(SITE, None, german).expect("loaded");
    for letter in samples::letters() {
        let Words { subject, text, html } = words(&templates, &letter);
        for form in [&subject, &text, &html] {
            for english in ["your", "Your", " the ", "this", "link doesn't"] {
                assert!(!form.contains(english), "{}: {english:?} in {form}", letter.name());
            }
        }
    }
}

#[test]
fn a_broken_override_is_told_with_its_file_and_line() {
    for (name, text, said) in [
        ("test.txt", "Subject: x\n\n{{ at }}\n{% if %}\n", "DIR/test.txt, line 4: syntax error"),
        ("test.txt", "Subject: x\n\n{{ at }}\n\n{{ nobody }}\n", "DIR/test.txt, line 5: undefined value"),
        (
            "test.html",
            "{% extends \"layout.html\" %}\n{% block content %}\n{{ link.url }}\n{% endblock %}",
            "DIR/test.html, line 3: undefined value",
        ),
        (
            "parts.html",
            "{% macro button(url, label) %}\n{{ labl }}{% endmacro %}{% macro token(text) %}{{ text }}{% endmacro %}",
            "DIR/parts.html, line 2: undefined value",
        ),
        ("test.txt", "It is {{ at }}.\n", "DIR/test.txt: the first line must be \"Subject: \""),
        ("test.txt", "Subject:\n\nIt is {{ at }}.\n", "DIR/test.txt: the first line must be \"Subject: \""),
        ("set_password.txt", "Subject: x\n\nChoose one, somewhere.\n", "DIR/set_password.txt: the token of the letter's link"),
        ("test.md", "x", "DIR/test.md is named for no template"),
        ("tset.txt", "Subject: x\n\nx\n", "DIR/tset.txt is named for no template"),
        ("test.DE.txt", "Subject: x\n\nx\n", "DIR/test.DE.txt is named for no template"),
        ("test.fr.txt", "Subject: x\n\nx\n", "DIR/test.fr.txt lacks its counterpart test.fr.html"),
    ] {
        let fault = load(&[(name, text)], Language::english()).err().unwrap_or_else(|| panic!("{name} was taken: {text}"));
        assert!(fault.starts_with(said), "{fault:?} doesn't begin with {said:?}");
    }
}

#[test]
fn every_language_of_the_directory_is_tried_whichever_is_chosen() {
    let mut files = LOGIN_EXISTS;
    files[0].1 = "Subject: {{ sujet }}\n\nx\n";
    let fault = load(&files, Language::english()).err().expect("refused");
    assert!(fault.starts_with("DIR/login_exists.fr.txt, line 1: undefined value"), "{fault}");
}

#[test]
fn a_language_that_nothing_is_written_in_is_refused() {
    assert_eq!(load(&[], french()).err().expect("refused"), "no template is in the language fr");
    assert!(Templates::load(SITE, None, french()).is_err());
    assert!(Templates::load(SITE, None, "en-GB".parse().expect("a language")).is_ok());
    let nowhere = Templates::load(SITE, Some((Path::new("/nowhere/at/all"), &[])), Language::english()).err().expect("refused");
    assert!(nowhere.to_string().starts_with("the template directory /nowhere/at/all"), "{nowhere}");
}
