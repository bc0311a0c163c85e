use secrecy::SecretString;

use super::*;
use crate::domain::edition::Edition;
use crate::domain::name::{DisplayName, Timezone};
use crate::domain::privilege::Privilege;
use crate::domain::role::{Role, RoleSet};
use crate::mail::{ConfirmationLink, PasswordLink};

const TOKEN: &str = "AgAAAAEBkyJ3vgB7u5tGxQpZ2mL8kR4sT6vW0yX1zA3bC5dE7fG9hI-jK_lM2nO4pQ6rS8t";
const ID: &str = "mail_0190aabbccdd7eeffff0011223344556@site.test";

fn render(letter: &Letter) -> String {
    let renderer = Renderer::new("https://site.test/users/", "Circonus <no-reply@site.test>").expect("valid");
    let ann = Email::parse("Ann+x@Bücher.example").expect("valid");
    let mail = renderer.render(letter, &ann, ID, Timestamp::from_micros(1_796_130_300_000_000)).expect("rendered");
    String::from_utf8(mail.bytes().to_owned()).expect("ASCII")
}

fn invitation(account: &str, granted_by: Option<&str>) -> Letter {
    Letter::Invitation {
        edition: Edition::Inside,
        account: DisplayName::parse(account).expect("a name"),
        granted_by: granted_by.map(|name| DisplayName::parse(name).expect("a name")),
        privilege: Privilege::Normal,
        roles: RoleSet::from_iter([Role::Alerts, Role::Data]),
        expires: Some(Timestamp::from_micros(1_796_130_300_000_000)),
        timezone: Timezone::parse("Europe/Berlin").expect("a zone"),
        token: SecretString::from(TOKEN),
    }
}

fn confirmation(token: &str) -> ConfirmationLink {
    ConfirmationLink {
        requested: Timestamp::from_micros(1_796_130_300_000_000),
        token: SecretString::from(token),
        expires: Timestamp::from_micros(1_796_216_700_000_000),
    }
}

fn headers(mail: &str) -> &str {
    mail.split("\r\n\r\n").next().expect("headers")
}

/// The text and the HTML, decoded as a mail program would.
fn parts(mail: &str) -> [String; 2] {
    let boundary = format!("--part-{}", ID.split('@').next().expect("a local part"));
    let part = |position| {
        let part: &str = mail.split(boundary.as_str()).nth(position).expect("a part");
        let (headers, body) = part.split_once("\r\n\r\n").expect("headers and body");
        let quoted = headers.contains("quoted-printable");
        let joined = if quoted { body.replace("=\r\n", "") } else { body.to_owned() };
        let mut bytes = Vec::new();
        let mut rest = joined.bytes();
        while let Some(byte) = rest.next() {
            if quoted && byte == b'=' {
                let digits = [rest.next().expect("a digit"), rest.next().expect("a digit")];
                bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).expect("ASCII"), 16).expect("hexadecimal"));
            } else {
                bytes.push(byte);
            }
        }
        String::from_utf8(bytes).expect("UTF-8")
    };
    [part(1), part(2)]
}

/// The lines after each `Token:` of the raw mail, as `grep -A1 '^Token:'` finds them.
fn tokens(mail: &str) -> Vec<&str> {
    let lines: Vec<&str> = mail.split("\r\n").collect();
    lines.windows(2).filter(|pair| pair[0] == "Token:").map(|pair| pair[1]).collect()
}

#[test]
fn an_invitation_says_who_offers_what_and_until_when() {
    let [text, _] = parts(&render(&invitation("Acme", Some("Bob"))));
    insta::assert_snapshot!(text.replace("\r\n", "\n"), @r#"
    Bob invites you to the account Acme on Circonus Inside.

    You would join as: Normal, with the roles Alerts, Data

    To answer, open this link, sign in, and accept or ignore the invitation:

    https://site.test/users/invitation#token=AgAAAAEBkyJ3vgB7u5tGxQpZ2mL8kR4sT6vW0yX1zA3bC5dE7fG9hI-jK_lM2nO4pQ6rS8t

    If you have no login yet, sign up with this address and confirm it first:
    only the owner of Ann+x@xn--bcher-kva.example can accept.

    The invitation ends on Tuesday, 1 December 2026, 14:05 (Europe/Berlin).

    Where the link doesn't work, paste this token instead:

    Token:
    AgAAAAEBkyJ3vgB7u5tGxQpZ2mL8kR4sT6vW0yX1zA3bC5dE7fG9hI-jK_lM2nO4pQ6rS8t

    If you don't want to join, or don't know what this is about, ignore this mail:
    nothing happens unless you accept.
    "#);
}

#[test]
fn headers_name_sender_recipient_date_and_the_stable_id() {
    insta::assert_snapshot!(headers(&render(&invitation("Acme", None))).replace("\r\n", "\n"), @r#"
    From: Circonus <no-reply@site.test>
    To: Ann+x@xn--bcher-kva.example
    Subject: You are invited to Acme on Circonus Inside
    Date: Tue, 01 Dec 2026 13:05:00 +0000
    Message-ID: <mail_0190aabbccdd7eeffff0011223344556@site.test>
    Auto-Submitted: auto-generated
    MIME-Version: 1.0
    Content-Type: multipart/alternative;
     boundary="part-mail_0190aabbccdd7eeffff0011223344556"
    "#);
}

#[test]
fn an_operator_without_a_name_and_an_offer_without_roles_and_end_read_well() {
    let mut letter = invitation("Acme", None);
    if let Letter::Invitation { roles, expires, edition, .. } = &mut letter {
        (*roles, *expires, *edition) = (RoleSet::EMPTY, None, Edition::Saas);
    }
    let mail = render(&letter);
    let [text, html] = parts(&mail);
    for form in [text, html] {
        assert!(form.contains("The operator of this site invites you"), "{form}");
        assert!(!form.contains("the role") && !form.contains("ends on"), "{form}");
    }
    assert!(headers(&mail).contains("Subject: You are invited to Acme on Circonus\r\n"));
}

#[test]
fn the_token_stands_alone_on_its_line_whatever_alphabet_the_names_are_in() {
    for account in ["Acme", "Bücher & Söhne", "李小龍的公司"] {
        let mail = render(&invitation(account, Some("Ångström")));
        assert!(mail.is_ascii());
        assert_eq!(tokens(&mail), [TOKEN], "{mail}");
        let link = format!("https://site.test/users/invitation#token={TOKEN}");
        let [text, html] = parts(&mail);
        assert!(text.lines().any(|line| line == link), "{text}");
        assert!(text.contains(account));
        assert!(html.contains(&format!("href=\"{}\"", link.replace('/', "&#x2f;"))), "{html}");
        assert!(html.contains(TOKEN));
    }
}

#[test]
fn a_text_in_ascii_can_be_read_in_the_raw_mail() {
    let mail = render(&Letter::Confirmation(confirmation(TOKEN)));
    assert!(mail.contains(&format!("\r\nhttps://site.test/users/confirm#token={TOKEN}\r\n")));
    assert_eq!(tokens(&mail), [TOKEN]);
}

#[test]
fn every_open_sign_up_has_its_own_link_and_token() {
    let (one, two) = (TOKEN.replace("Ag", "AQ"), TOKEN.replace("Ag", "AQA"));
    let mail = render(&Letter::ConfirmationAgain(vec![confirmation(&one), confirmation(&two)]));
    assert_eq!(tokens(&mail), [&one, &two]);
    for form in parts(&mail) {
        assert!(form.contains("There are 2 open sign-ups"), "{form}");
        assert_eq!(form.matches("Tuesday, 1 December 2026, 13:05 (UTC)").count(), 2, "{form}");
    }
    let [text, _] = parts(&render(&Letter::ConfirmationAgain(vec![confirmation(&one)])));
    assert!(text.contains("There is one open sign-up."));
}

#[test]
fn a_link_that_changes_a_login_stands_in_both_forms_with_its_token_and_end() {
    let expires = Timestamp::from_micros(1_796_130_300_000_000);
    let link = || PasswordLink { token: SecretString::from(TOKEN), expires };
    for (letter, page) in [
        (Letter::PasswordReset(link()), "reset-password"),
        (Letter::SetPassword(link()), "reset-password"),
        (Letter::AddressChange { token: SecretString::from(TOKEN), expires }, "confirm-address"),
    ] {
        let mail = render(&letter);
        assert_eq!(tokens(&mail), [TOKEN]);
        let [text, html] = parts(&mail);
        let url = format!("https://site.test/users/{page}#token={TOKEN}");
        assert!(text.lines().any(|line| line == url), "{text}");
        assert!(html.contains(&format!("href=\"{}\"", url.replace('/', "&#x2f;"))), "{html}");
        for form in [text, html] {
            assert!(
                form.contains("ends on Tuesday, 1 December 2026, 13:05 (UTC)") && form.contains("ignore this mail"),
                "{form}"
            );
        }
    }
}

#[test]
fn a_notice_says_when_and_what_to_do_and_brings_no_token() {
    let at = Timestamp::from_micros(1_796_130_300_000_000);
    for letter in [
        Letter::PasswordChanged { at },
        Letter::AddressChanged { at },
        Letter::SuperAdminGranted { at },
        Letter::SuperAdminRevoked { at },
    ] {
        let mail = render(&letter);
        assert!(tokens(&mail).is_empty());
        for form in parts(&mail) {
            assert!(form.contains("on Tuesday, 1 December 2026, 13:05 (UTC)"), "{form}");
            assert!(form.contains("the operator of this site"), "{form}");
            assert!(!form.contains("ucher") && !form.contains("Ann"), "no address: {form}");
        }
    }
}

#[test]
fn a_letter_without_its_links_is_not_rendered() {
    let renderer = Renderer::new("https://site.test", "no-reply@site.test").expect("valid");
    let ann = Email::parse("ann@acme.test").expect("valid");
    let outcome = renderer.render(&Letter::ConfirmationAgain(Vec::new()), &ann, ID, Timestamp::from_micros(0));
    assert!(matches!(outcome, Err(RenderError::NoLink)));
}

#[test]
fn names_are_text_in_html() {
    let [text, html] = parts(&render(&invitation("<b>A&B</b>", Some("{{ token }} \"x\""))));
    assert!(text.contains("{{ token }} \"x\" invites you to the account <b>A&B</b>"));
    assert!(!html.contains("<b>") && html.contains("&lt;b&gt;A&amp;B"), "{html}");
    assert!(html.contains("{{ token }} &quot;x&quot;"), "{html}");
}

#[test]
fn a_name_cannot_add_a_header_or_hide_in_an_encoded_word() {
    for name in ["=?utf-8?Q?Acme=0D=0ABcc:_x_y?=", "Bcc: x, y", "Acme\\r\\nBcc: x", &"ä".repeat(80), &"a".repeat(80)] {
        let mail = render(&invitation(name, None));
        let names: Vec<&str> = headers(&mail)
            .split("\r\n")
            .filter(|line| !line.starts_with([' ', '\t']))
            .map(|line| line.split(':').next().expect("a name"))
            .collect();
        assert_eq!(
            names,
            ["From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type"],
            "{mail}"
        );
        assert!(!headers(&mail).contains("Q?Acme") || headers(&mail).contains("= ?utf-8?Q?Acme"), "{mail}");
        assert!(mail.split("\r\n").all(|line| line.len() <= 998));
    }
}

#[test]
fn a_mail_that_anybody_can_cause_has_no_text_of_theirs_and_tells_nothing_about_a_login() {
    for letter in [Letter::Confirmation(confirmation(TOKEN)), Letter::LoginExists] {
        let [text, html] = parts(&render(&letter));
        assert!(!text.contains("ucher") && !html.contains("ucher") && !text.contains("Ann"), "{text}");
    }
}

#[test]
fn two_attempts_are_the_same_bytes() {
    assert_eq!(render(&invitation("Bücher", None)), render(&invitation("Bücher", None)));
}

#[test]
fn the_envelope_goes_to_the_ascii_form_of_the_domain_with_the_local_part_as_typed() {
    let renderer = Renderer::new("http://localhost:8080", "user-management@localhost").expect("valid");
    let ann = Email::parse("Ann@Bücher.example").expect("valid");
    let mail = renderer.render(&Letter::LoginExists, &ann, ID, Timestamp::from_micros(-1)).expect("rendered");
    assert_eq!(mail.envelope().to().iter().map(ToString::to_string).collect::<Vec<_>>(), ["Ann@xn--bcher-kva.example"]);
    assert_eq!(mail.envelope().from().map(ToString::to_string), Some("user-management@localhost".to_owned()));
    assert_eq!(mail.message_id(), ID);
}

#[test]
fn what_could_break_headers_or_links_is_refused_at_the_start() {
    for url in
        ["", "site.test", "ftp://site.test", "https://", "https://site.test/?a", "https://site.test/#b", "https://sité.test"]
    {
        assert!(matches!(Renderer::new(url, "a@site.test"), Err(RendererError::PublicUrl(_))), "{url}");
    }
    for from in ["", "nobody", "A <a@site.test>\r\nBcc: <b@site.test>", "a@site.test\nX: y", "ä@site.test"] {
        assert!(matches!(Renderer::new("https://site.test", from), Err(RendererError::From(_))), "{from:?}");
    }
    let renderer = Renderer::new("https://site.test", "a@site.test").expect("valid");
    let ann = Email::parse("ann@acme.test").expect("valid");
    for id in ["", "mail", "@site.test", "mail@", "../mail@site.test", "a b@site.test", "a@b>\r\nBcc: x", "a@b@c", ".a@b"] {
        let outcome = renderer.render(&Letter::LoginExists, &ann, id, Timestamp::from_micros(0));
        assert!(matches!(outcome, Err(RenderError::MessageId(_))), "{id:?}");
    }
}

#[test]
fn the_forms_are_labelled() {
    let mail = render(&invitation("Bücher", None));
    assert_eq!(mail.matches("Content-Transfer-Encoding: quoted-printable").count(), 2, "{mail}");
    assert!(mail.contains("Content-Type: text/plain; charset=utf-8\r\n"), "{mail}");
    assert!(mail.contains("Content-Type: text/html; charset=utf-8\r\n"), "{mail}");
    let mail = render(&invitation("Acme", None));
    assert!(mail.contains("Content-Transfer-Encoding: 7bit\r\n"), "{mail}");
}
