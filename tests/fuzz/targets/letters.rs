//! Mails with the names that people give themselves, their accounts and their tokens: a line each, behind the address that it goes to.

use std::sync::LazyLock;

use secrecy::SecretString;
use user_management::domain::clock::Timestamp;
use user_management::domain::edition::Edition;
use user_management::domain::email::Email;
use user_management::domain::name::{DisplayName, Timezone};
use user_management::domain::privilege::Privilege;
use user_management::domain::role::RoleSet;
use user_management::mail::{Letter, Renderer, Wording};

const TOKEN: &str = "AgAAAAEBkyJ3vgB7u5tGxQpZ2mL8kR4sT6vW0yX1zA3bC5dE7fG9hI-jK_lM2nO4pQ6rS8t";

static RENDERERS: LazyLock<Vec<Renderer>> = LazyLock::new(renderers);

pub(super) fn holds(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.split('\n');
    let email = lines.next().map(Email::parse);
    let names: Vec<DisplayName> = lines.take(2).filter_map(|line| DisplayName::parse(line).ok()).collect();
    let (Some(Ok(to)), [first, second]) = (email, &names[..]) else { return false };
    let (ann, tame) = (Email::parse("ann@acme.test").expect("valid"), DisplayName::parse("Ann").expect("valid"));
    let at = |position: usize| bytes.get(position).copied().unwrap_or_default();
    let moment = Timestamp::from_micros(i64::from_be_bytes(std::array::from_fn(at)));
    for renderer in &*RENDERERS {
        for kind in [invitation, api_token] {
            let [hostile, usual] =
                [(kind(first, second, moment), &to), (kind(&tame, &tame, moment), &ann)].map(|(letter, to)| {
                    let rendered = renderer.render(&letter, to, "mail_1@site.test", moment).expect("any letter can be rendered");
                    let mailbox = rendered.envelope().to().iter().map(ToString::to_string).collect::<Vec<_>>();
                    assert_eq!(mailbox, [to.mailbox()], "it goes to nobody else");
                    Mail::of(rendered.bytes())
                });
            assert_eq!(hostile.headers, usual.headers, "no header more, less or in another's place");
            assert_eq!(hostile.marks, usual.marks, "no markup of theirs");
            assert_eq!(hostile.links, usual.links, "no link of theirs");
            assert_eq!(hostile.tokens, usual.tokens, "the token stands alone on its line");
        }
    }
    true
}

/// What of a mail doesn't hang on the names in it.
struct Mail {
    headers: Vec<String>,
    marks: usize,
    links: usize,
    tokens: usize,
}

impl Mail {
    fn of(bytes: &[u8]) -> Self {
        let text = std::str::from_utf8(bytes).expect("seven bits");
        assert!(text.is_ascii() && !text.replace("\r\n", "").contains(['\r', '\n', '\0']), "lines end in CRLF");
        assert!(text.split("\r\n").all(|line| line.len() <= 998), "RFC 5322");
        let (head, body) = text.split_once("\r\n\r\n").expect("headers and body");
        let names = head.replace("\r\n ", " ").replace("\r\n\t", " ");
        let headers = names.split("\r\n").map(|line| line.split(':').next().unwrap_or_default().to_owned()).collect();
        let html = body.split_once("text/html").and_then(|(_, part)| part.split_once("\r\n\r\n")).expect("a part in HTML");
        let html = decoded(html.1);
        Self {
            headers,
            marks: html.matches('<').count(),
            links: html.matches("://").count(),
            tokens: text.split("\r\n").filter(|line| *line == TOKEN).count(),
        }
    }
}

/// Quoted-printable, as a mail program reads it.
fn decoded(part: &str) -> String {
    let joined = part.replace("=\r\n", "");
    let mut pieces = joined.split('=');
    let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        let (digits, rest) = piece.split_at_checked(2).expect("two digits");
        bytes.push(u8::from_str_radix(digits, 16).expect("hexadecimal"));
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).expect("UTF-8")
}

fn renderers() -> Vec<Renderer> {
    let of = |language: &str| {
        let language = Some(language.parse().expect("a language"));
        Renderer::with("https://site.test", "Circonus <no-reply@site.test>", Wording { language, ..Wording::default() })
            .expect("valid")
    };
    vec![of("en"), of("de")]
}

fn invitation(account: &DisplayName, granted_by: &DisplayName, moment: Timestamp) -> Letter {
    Letter::Invitation {
        edition: Edition::Inside,
        account: account.clone(),
        granted_by: Some(granted_by.clone()),
        privilege: Privilege::Normal,
        roles: RoleSet::ALL,
        expires: Some(moment),
        timezone: Timezone::parse("Europe/Berlin").expect("a zone"),
        token: SecretString::from(TOKEN),
    }
}

fn api_token(name: &DisplayName, account: &DisplayName, moment: Timestamp) -> Letter {
    Letter::ApiTokenCreated { name: name.clone(), account: account.clone(), at: moment, expires: moment }
}
