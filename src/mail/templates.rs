//! The words of the letters: templates that are part of the program, or those of the site that stand in for them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use minijinja::{Environment, UndefinedBehavior, Value, context};
use secrecy::{ExposeSecret, SecretString};

use super::letter::{ConfirmationLink, Letter, product};
use super::overrides::Overrides;
use super::samples;
use crate::domain::clock::Timestamp;
use crate::domain::language::Language;
use crate::domain::name::DisplayName;
use crate::domain::role::Role;
use crate::domain::token::LinkKind;
use crate::ownership::Flaw;

/// What an override may fail of, as a line for whoever wrote it.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The directory can't be read.
    #[error("the template directory {} can't be read", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file of it can't be read as UTF-8.
    #[error("the template {} can't be read", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Others could write what is mailed in the site's name.
    #[error("{} {flaw}", path.display())]
    Untrusted {
        /// The directory, or a file of it.
        path: PathBuf,
        /// What is wrong with it.
        flaw: Flaw,
    },
    /// A file stands in for nothing.
    #[error("{} is named for no template: name it like invitation.txt or invitation.de.txt", .0.display())]
    Unknown(PathBuf),
    /// One form of a letter is translated and the other isn't.
    #[error("{} lacks its counterpart {missing}: a mail would be in two languages", path.display())]
    Half {
        /// The file that is there.
        path: PathBuf,
        /// The name of the one that isn't.
        missing: String,
    },
    /// Nothing is in the language that was chosen.
    #[error("no template is in the language {0}")]
    Language(Language),
    /// A template can't be read or filled in.
    #[error("{place}: {what}")]
    Broken {
        /// File and line.
        place: String,
        /// What is wrong there.
        what: String,
    },
}

/// Declares the letters that have templates, and all templates by name. What ends in `.html` escapes what is put into it.
macro_rules! letters {
    ($($name:literal),+) => {
        /// What the templates of letters are named for.
        pub(super) const LETTERS: &[&str] = &[$($name),+];

        const SOURCES: &[(&str, &str)] = &[
            ("layout.html", include_str!("templates/layout.html")),
            ("parts.html", include_str!("templates/parts.html")),
            $(
                (concat!($name, ".txt"), include_str!(concat!("templates/", $name, ".txt"))),
                (concat!($name, ".html"), include_str!(concat!("templates/", $name, ".html"))),
            )+
        ];

        const TRANSLATIONS: &[(&str, &str)] = &[
            ("parts.de.html", include_str!("templates/parts.de.html")),
            $(
                (concat!($name, ".de.txt"), include_str!(concat!("templates/", $name, ".de.txt"))),
                (concat!($name, ".de.html"), include_str!(concat!("templates/", $name, ".de.html"))),
            )+
        ];
    };
}

letters!(
    "invitation",
    "confirmation",
    "confirmation_again",
    "login_exists",
    "password_reset",
    "set_password",
    "address_change",
    "password_changed",
    "address_changed",
    "super_admin_granted",
    "super_admin_revoked",
    "api_token_created",
    "test"
);

/// Whether the program has a template of that name, which has no language in it.
pub(super) fn is_template(name: &str) -> bool {
    SOURCES.iter().any(|(known, _)| *known == name)
}

/// The program's own translation of a template.
pub(super) fn translation(name: &str, language: &Language) -> Option<&'static str> {
    let (stem, ending) = name.split_once('.')?;
    let file = format!("{stem}.{language}.{ending}");
    TRANSLATIONS.iter().find(|(known, _)| *known == file).map(|(_, text)| *text)
}

/// The templates of one language, parsed, with the address of the site that their links lead to.
pub(super) struct Templates {
    environment: Environment<'static>,
    /// Where those that aren't the program's own were found.
    found: BTreeMap<&'static str, PathBuf>,
    language: Language,
    site: String,
}

/// A letter in words: its subject, safe to stand in a header, and the two forms that a mail program chooses from.
pub(super) struct Words {
    pub(super) subject: String,
    pub(super) text: String,
    pub(super) html: String,
}

impl Templates {
    /// Loads the templates for a site whose address has no slash at its end; with a directory, and whose that has to be, what stands in it comes first.
    ///
    /// A sample of every letter is rendered in every language of the directory, so that a broken template is found here.
    pub(super) fn load(site: &str, directory: Option<(&Path, &[u32])>, language: Language) -> Result<Self, TemplateError> {
        let overrides = directory.map(|(path, owners)| Overrides::read(path, owners)).transpose()?.unwrap_or_default();
        let languages = overrides.languages();
        let own = languages.iter().any(|found| found.primary() == language.primary());
        let translated = LETTERS.iter().any(|letter| translation(&format!("{letter}.txt"), &language.without_region()).is_some());
        if !own && !translated && !language.is_english() {
            return Err(TemplateError::Language(language));
        }
        for other in languages {
            Self::parse(site, &overrides, other)?.check()?;
        }
        let templates = Self::parse(site, &overrides, language)?;
        templates.check()?;
        Ok(templates)
    }

    fn parse(site: &str, overrides: &Overrides, language: Language) -> Result<Self, TemplateError> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        let mut templates = Self { environment, found: BTreeMap::new(), language, site: site.to_owned() };
        for (name, built_in) in SOURCES {
            let source = templates.source(name, overrides).unwrap_or_else(|| (*built_in).to_owned());
            templates.environment.add_template_owned(*name, source).map_err(|fault| templates.broken(&fault))?;
        }
        Ok(templates)
    }

    /// What stands in for a template: in the language with its region, without, in none; the site's own before the program's.
    fn source(&mut self, name: &'static str, overrides: &Overrides) -> Option<String> {
        let primary = self.language.without_region();
        for language in [Some(&self.language), Some(&primary), None] {
            if let Some((text, path)) = overrides.find(name, language) {
                self.found.insert(name, path.to_owned());
                return Some(text.to_owned());
            }
            if let Some(text) = language.and_then(|language| translation(name, language)) {
                return Some(text.to_owned());
            }
        }
        None
    }

    fn check(&self) -> Result<(), TemplateError> {
        for letter in samples::letters() {
            let words = self.words(&letter, "ann@acme.test")?;
            for (form, rendered) in [("txt", &words.text), ("html", &words.html)] {
                let lost = samples::tokens(&letter).into_iter().find(|token| !rendered.contains(token.expose_secret()));
                if lost.is_some() {
                    let place = self.place(&format!("{}.{form}", letter.name()));
                    let what = "the token of the letter's link, link.token or link.url, isn't in it".to_owned();
                    return Err(TemplateError::Broken { place, what });
                }
            }
        }
        Ok(())
    }

    /// Puts a letter to `recipient` into words.
    pub(super) fn words(&self, letter: &Letter, recipient: &str) -> Result<Words, TemplateError> {
        let language = self.language.as_str();
        let context = context! { language, site => self.site.as_str(), ..self.context(letter, recipient) };
        let (text, html) = (format!("{}.txt", letter.name()), format!("{}.html", letter.name()));
        let (subject, text) = self.split(&text, &self.fill(&text, &context)?)?;
        let html = self.fill(&html, &context! { subject => subject.as_str(), ..context })?;
        Ok(Words { subject, text, html })
    }

    fn fill(&self, name: &str, context: &Value) -> Result<String, TemplateError> {
        let filled = self.environment.get_template(name).and_then(|template| template.render(context));
        filled.map_err(|fault| self.broken(&fault))
    }

    /// The subject, which stands on the first line, and the text behind it.
    fn split(&self, name: &str, filled: &str) -> Result<(String, String), TemplateError> {
        let (first, rest) = filled.trim_start().split_once('\n').unwrap_or_default();
        let subject = first.strip_prefix("Subject:").map(str::trim).filter(|subject| !subject.is_empty());
        let Some(subject) = subject.filter(|subject| !subject.contains(char::is_control)) else {
            let what = "the first line must be \"Subject: \" and a subject of one line".to_owned();
            return Err(TemplateError::Broken { place: self.place(name), what });
        };
        // a mail program would decode `=?…?=` and show what `DisplayName` keeps out
        Ok((subject.replace("=?", "= ?"), rest.trim_start().to_owned()))
    }

    /// Says where a fault is: in the template that was being filled in, or in one that it includes.
    fn broken(&self, fault: &minijinja::Error) -> TemplateError {
        let mut deepest = fault;
        let mut cause = std::error::Error::source(fault);
        while let Some(error) = cause {
            deepest = error.downcast_ref::<minijinja::Error>().filter(|inner| inner.name().is_some()).unwrap_or(deepest);
            cause = error.source();
        }
        let line = deepest.line().map(|line| format!(", line {line}")).unwrap_or_default();
        let place = format!("{}{line}", self.place(deepest.name().unwrap_or("a template")));
        let what = deepest.detail().map_or_else(|| deepest.kind().to_string(), |detail| format!("{}: {detail}", deepest.kind()));
        TemplateError::Broken { place, what }
    }

    fn place(&self, name: &str) -> String {
        self.found.get(name).map_or_else(|| format!("the program's {name}"), |path| path.display().to_string())
    }

    fn context(&self, letter: &Letter, recipient: &str) -> Value {
        match letter {
            Letter::Invitation { edition, account, granted_by, privilege, roles, expires, timezone, token } => context! {
                recipient,
                product => product(*edition),
                account => account.as_str(),
                granted_by => granted_by.as_ref().map(DisplayName::as_str),
                privilege => privilege.label(),
                roles => roles.iter().map(Role::label).map(Value::from).collect::<Value>(),
                expires => expires.map(|time| self.moment(time, timezone.as_str())),
                link => self.link(LinkKind::Invitation, token.expose_secret()),
            },
            Letter::Confirmation(link) => context! { link => self.confirmation(link) },
            Letter::ConfirmationAgain(links) => {
                context! { links => links.iter().map(|link| self.confirmation(link)).collect::<Value>() }
            }
            Letter::LoginExists => context! {},
            // one page: the same call sets a first password and a new one
            Letter::PasswordReset(link) | Letter::SetPassword(link) => {
                context! { link => self.ending(LinkKind::Password, &link.token, link.expires) }
            }
            Letter::AddressChange { token, expires } => {
                context! { link => self.ending(LinkKind::AddressChange, token, *expires) }
            }
            Letter::ApiTokenCreated { name, account, at, expires } => context! {
                name => name.as_str(),
                account => account.as_str(),
                at => self.moment(*at, "UTC"),
                expires => self.moment(*expires, "UTC"),
            },
            Letter::PasswordChanged { at }
            | Letter::AddressChanged { at }
            | Letter::SuperAdminGranted { at }
            | Letter::SuperAdminRevoked { at }
            | Letter::Test { at } => {
                context! { at => self.moment(*at, "UTC") }
            }
        }
    }

    fn confirmation(&self, link: &ConfirmationLink) -> Value {
        context! { requested => self.moment(link.requested, "UTC"), ..self.ending(LinkKind::Confirmation, &link.token, link.expires) }
    }

    /// A link with its end. Nothing is known about where the person is, so the time is UTC.
    fn ending(&self, kind: LinkKind, token: &SecretString, expires: Timestamp) -> Value {
        context! { expires => self.moment(expires, "UTC"), ..self.link(kind, token.expose_secret()) }
    }

    fn link(&self, kind: LinkKind, token: &str) -> Value {
        context! { token, url => kind.url(&self.site, token) }
    }

    /// A time as a person reads it, with the zone named: in English `Tuesday, 1 December 2026, 14:05 (Europe/Berlin)`, in any other
    /// language `2026-12-01 14:05 (Europe/Berlin)`, which has no words.
    fn moment(&self, time: Timestamp, zone: &str) -> String {
        let form = if self.language.is_english() { "%A, %-d %B %Y, %H:%M" } else { "%Y-%m-%d %H:%M" };
        match (jiff::Timestamp::from_microsecond(time.as_micros()), TimeZone::get(zone)) {
            (Ok(moment), Ok(found)) => format!("{} ({zone})", moment.to_zoned_datetime(found).strftime(form)),
            // a zone that has left the database since the account named it, or a time beyond the calendar
            _ => time.to_string(),
        }
    }
}

#[cfg(test)]
mod tests;
