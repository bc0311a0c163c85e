//! The words of the letters: templates that are part of the program.

use jiff::tz::TimeZone;
use minijinja::{Environment, UndefinedBehavior, Value, context};
use secrecy::{ExposeSecret, SecretString};

use super::letter::{ConfirmationLink, Letter, product};
use crate::domain::clock::Timestamp;
use crate::domain::role::Role;

/// Every template by the name that letters and templates use for it. What ends in `.html` escapes what is put into it.
const SOURCES: [(&str, &str); 24] = [
    ("layout.html", include_str!("templates/layout.html")),
    ("parts.html", include_str!("templates/parts.html")),
    ("invitation.txt", include_str!("templates/invitation.txt")),
    ("invitation.html", include_str!("templates/invitation.html")),
    ("confirmation.txt", include_str!("templates/confirmation.txt")),
    ("confirmation.html", include_str!("templates/confirmation.html")),
    ("confirmation_again.txt", include_str!("templates/confirmation_again.txt")),
    ("confirmation_again.html", include_str!("templates/confirmation_again.html")),
    ("login_exists.txt", include_str!("templates/login_exists.txt")),
    ("login_exists.html", include_str!("templates/login_exists.html")),
    ("password_reset.txt", include_str!("templates/password_reset.txt")),
    ("password_reset.html", include_str!("templates/password_reset.html")),
    ("set_password.txt", include_str!("templates/set_password.txt")),
    ("set_password.html", include_str!("templates/set_password.html")),
    ("address_change.txt", include_str!("templates/address_change.txt")),
    ("address_change.html", include_str!("templates/address_change.html")),
    ("password_changed.txt", include_str!("templates/password_changed.txt")),
    ("password_changed.html", include_str!("templates/password_changed.html")),
    ("address_changed.txt", include_str!("templates/address_changed.txt")),
    ("address_changed.html", include_str!("templates/address_changed.html")),
    ("super_admin_granted.txt", include_str!("templates/super_admin_granted.txt")),
    ("super_admin_granted.html", include_str!("templates/super_admin_granted.html")),
    ("super_admin_revoked.txt", include_str!("templates/super_admin_revoked.txt")),
    ("super_admin_revoked.html", include_str!("templates/super_admin_revoked.html")),
];

/// The templates, parsed, with the address of the site that their links lead to.
pub(super) struct Templates {
    environment: Environment<'static>,
    site: String,
}

/// The two forms of a letter that a mail program chooses from.
pub(super) struct Words {
    pub(super) text: String,
    pub(super) html: String,
}

impl Templates {
    /// Parses the templates for a site whose address has no slash at its end.
    pub(super) fn parse(site: String) -> Result<Self, minijinja::Error> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        for (name, source) in SOURCES {
            environment.add_template(name, source)?;
        }
        Ok(Self { environment, site })
    }

    /// Puts a letter to `recipient` into words.
    pub(super) fn words(&self, letter: &Letter, recipient: &str) -> Result<Words, minijinja::Error> {
        let context = self.context(letter, recipient);
        let render = |form| {
            let name = format!("{}.{form}", letter.template());
            self.environment.get_template(&name)?.render(context.clone())
        };
        Ok(Words { text: render("txt")?, html: render("html")? })
    }

    fn context(&self, letter: &Letter, recipient: &str) -> Value {
        let subject = letter.subject();
        match letter {
            Letter::Invitation { edition, account, granted_by, privilege, roles, expires, timezone, token } => context! {
                subject,
                recipient,
                product => product(*edition),
                account => account.as_str(),
                granted_by => granted_by.as_ref().map_or("The operator of this site", |name| name.as_str()),
                privilege => privilege.label(),
                roles => roles.iter().map(Role::label).map(Value::from).collect::<Value>(),
                expires => expires.map(|time| in_words(time, timezone.as_str())),
                link => self.link("invitation", token.expose_secret()),
            },
            Letter::Confirmation(link) => context! { subject, link => self.confirmation(link) },
            Letter::ConfirmationAgain(links) => {
                context! { subject, links => links.iter().map(|link| self.confirmation(link)).collect::<Value>() }
            }
            Letter::LoginExists => context! { subject, site => self.site.as_str() },
            // one page: the same call sets a first password and a new one
            Letter::PasswordReset(link) | Letter::SetPassword(link) => {
                context! { subject, link => self.ending("reset-password", &link.token, link.expires) }
            }
            Letter::AddressChange { token, expires } => {
                context! { subject, link => self.ending("confirm-address", token, *expires) }
            }
            Letter::PasswordChanged { at }
            | Letter::AddressChanged { at }
            | Letter::SuperAdminGranted { at }
            | Letter::SuperAdminRevoked { at } => {
                context! { subject, at => in_words(*at, "UTC"), site => self.site.as_str() }
            }
        }
    }

    fn confirmation(&self, link: &ConfirmationLink) -> Value {
        context! { requested => in_words(link.requested, "UTC"), ..self.ending("confirm", &link.token, link.expires) }
    }

    /// A link with its end. Nothing is known about where the person is, so the time is UTC.
    fn ending(&self, page: &str, token: &SecretString, expires: Timestamp) -> Value {
        context! { expires => in_words(expires, "UTC"), ..self.link(page, token.expose_secret()) }
    }

    /// The token stands behind `#`: a fragment reaches no server's log and no Referer.
    fn link(&self, page: &str, token: &str) -> Value {
        context! { token, url => format!("{}/{page}#token={token}", self.site) }
    }
}

/// A time as a person reads it, with the zone named: `Tuesday, 1 December 2026, 14:05 (Europe/Berlin)`.
fn in_words(time: Timestamp, zone: &str) -> String {
    let moment = jiff::Timestamp::from_microsecond(time.as_micros());
    match (moment, TimeZone::get(zone)) {
        (Ok(moment), Ok(found)) => format!("{} ({zone})", moment.to_zoned_datetime(found).strftime("%A, %-d %B %Y, %H:%M")),
        // a zone that has left the database since the account named it, or a time beyond the calendar
        _ => time.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_in_its_zone() {
        let time = Timestamp::from_micros(1_796_130_300_000_000);
        assert_eq!(in_words(time, "Europe/Berlin"), "Tuesday, 1 December 2026, 14:05 (Europe/Berlin)");
        assert_eq!(in_words(time, "UTC"), "Tuesday, 1 December 2026, 13:05 (UTC)");
        assert_eq!(in_words(time, "Mars/Phobos"), "2026-12-01T13:05:00Z");
    }
}
