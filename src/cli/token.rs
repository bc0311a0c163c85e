//! `token`: tokens of any kind that leaked, found by their form.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{IsTerminal as _, Read};
use std::path::{Path, PathBuf};

use clap::Subcommand;
use tonic::Code;

use super::confirm::Confirmation;
use super::console::Console;
use super::screen::{self, Column, Table, note};
use super::words::{request_id, time};
use super::{Failure, Rehearsal};
use crate::domain::token::{Bearer, FORM};
use crate::proto::revoke_token_response::Credential;
use crate::proto::{self, RevokeTokenResponse};

const REVOKING: &str = "\
Examples:
  token revoke leaked.log
  git log -p | token revoke - --dry-run
  token revoke - --yes < leaked.txt";

/// What is done with tokens.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// End every token that stands in a text, and say whose each was
    ///
    /// Sessions', personal and services' tokens are known by their form and checksum, whatever stands around them; not where the text is
    /// compressed or encoded. Those that the server doesn't know are told, and hinder no other; where it knows none, the exit status is 3. No
    /// token is printed: each is named by its beginning. Links in mails end with what they are for, or all by rotate-link-key --now.
    #[command(after_help = REVOKING)]
    Revoke {
        /// The file with the text, or - for standard input
        file: PathBuf,
        #[command(flatten)]
        rehearsal: Rehearsal,
        #[command(flatten)]
        confirmation: Confirmation,
    },
}

/// A token by its beginning, and what it was; none of one that the server doesn't know.
struct Found {
    token: String,
    answer: Option<RevokeTokenResponse>,
}

const COLUMNS: &[Column<Found>] = &[
    ("TOKEN", |found| found.token.clone()),
    ("IS", |found| match found.credential() {
        Some(Credential::Session(session)) => session.clone(),
        Some(Credential::ApiToken(token)) => token.id.clone(),
        Some(Credential::Service(service)) => service.id.clone(),
        None => "not known here".to_owned(),
    }),
    ("OF", |found| match found.credential() {
        Some(Credential::Service(service)) => service.name.clone(),
        _ => found.owner().map(|owner| owner.email.clone()).unwrap_or_default(),
    }),
    ("NAME", |found| match found.credential() {
        Some(Credential::ApiToken(token)) => token.name.clone(),
        _ => String::new(),
    }),
    ("ACCOUNT", |found| match found.credential() {
        Some(Credential::ApiToken(token)) => token.account.clone(),
        Some(Credential::Service(service)) => service.account.clone(),
        Some(Credential::Session(_)) | None => String::new(),
    }),
    ("WAS", |found| match &found.answer {
        Some(answer) if answer.was_live => "live".to_owned(),
        Some(_) => "over".to_owned(),
        None => String::new(),
    }),
    ("LAST USED", |found| match found.credential() {
        Some(Credential::ApiToken(token)) => time(token.last_used_time.as_ref()),
        _ => String::new(),
    }),
];

impl Found {
    fn credential(&self) -> Option<&Credential> {
        self.answer.as_ref().and_then(|answer| answer.credential.as_ref())
    }

    fn owner(&self) -> Option<&proto::User> {
        self.answer.as_ref().and_then(|answer| answer.user.as_ref())
    }
}

impl Verb {
    pub(super) async fn run(self, console: &mut Console) -> Result<(), Failure> {
        let Self::Revoke { file, rehearsal, confirmation } = self;
        let tokens = tokens_in(&file)?;
        confirmation.ask(
            rehearsal.dry_run,
            &format!("Revoke {}? What calls with them is refused from then on.", counted(tokens.len())),
        )?;
        let all = tokens.len();
        let (mut found, mut cut_short) = (Vec::new(), None);
        for token in tokens {
            let begins = beginning(&token);
            let request = proto::RevokeTokenRequest { token, request_id: request_id(), validate_only: rehearsal.dry_run };
            let answer = match console.call(request).await {
                Ok(answer) => Some(answer),
                Err(Failure::Refused(status)) if status.code() == Code::NotFound => None,
                Err(failure) => {
                    cut_short = Some(Box::new(failure));
                    break;
                }
            };
            found.push(Found { token: begins, answer });
        }
        let cut_short = match cut_short {
            Some(cause) if found.is_empty() => return Err(*cause),
            later => later,
        };
        // only now: whoever reads may go away, or the disk be full, and no token is to live on for that
        let shown = show(console, &found);
        let live = found.iter().filter(|found| found.answer.as_ref().is_some_and(|answer| answer.was_live)).count();
        let unknown = found.iter().filter(|found| found.answer.is_none()).count();
        let ended = if rehearsal.dry_run { "would end" } else { "ended" };
        note(&format!("{live} {ended}, {} had ended before, {unknown} not known here", found.len() - live - unknown));
        rehearsal.remark();
        match cut_short {
            Some(cause) => Err(Failure::TokensLeft { done: found.len(), all, cause }),
            None if unknown == all => Err(Failure::NoneKnown),
            None => shown,
        }
    }
}

/// Characters of a token that tell it from others and open nothing: its prefix and 48 bits.
const SHOWN: usize = 12;

fn beginning(token: &str) -> String {
    format!("{}…", token.get(..SHOWN).unwrap_or_default())
}

fn counted(tokens: usize) -> String {
    if tokens == 1 { "1 token".to_owned() } else { format!("{tokens} tokens") }
}

fn show(console: &mut Console, found: &[Found]) -> Result<(), Failure> {
    if !console.screen.json {
        Table::new(COLUMNS).write(&mut console.screen, found)?;
        return console.screen.flush();
    }
    for Found { token, answer } in found {
        let mut object = match answer {
            Some(answer) => screen::value(answer)?,
            None => serde_json::json!({ "error": { "reason": "TOKEN_NOT_FOUND" } }),
        };
        if let Some(fields) = object.as_object_mut() {
            fields.insert("token".to_owned(), token.as_str().into());
        }
        console.screen.line(&object.to_string())?;
    }
    console.screen.flush()
}

/// The tokens of a file, or of standard input for `-`: each once.
fn tokens_in(path: &Path) -> Result<BTreeSet<String>, Failure> {
    let is_stdin = path == Path::new("-");
    if let Some(token) = find(path.as_os_str().as_encoded_bytes())?.first() {
        let what = "is a token and no file: everybody on this host could see it, so it has leaked now; give it on standard input";
        return Err(Failure::Input(vec![format!("{} {what}", beginning(token))]));
    }
    let name = if is_stdin { "standard input".to_owned() } else { path.display().to_string() };
    if is_stdin && std::io::stdin().is_terminal() {
        note("reading from the terminal, until Ctrl-D");
    }
    let found = if is_stdin { find(std::io::stdin()) } else { File::open(path).and_then(find) };
    let faulty = |what: String| Failure::Input(vec![format!("{name}: {what}")]);
    let found = found.map_err(|error| faulty(format!("can't be read: {error}")))?;
    if found.is_empty() {
        return Err(faulty(format!("holds no token, which is {FORM}")));
    }
    Ok(found)
}

/// The tokens of a text of any length and kind, by their form and checksum; in UTF-16 too, whose zeros are none of a token's.
fn find(mut text: impl Read) -> std::io::Result<BTreeSet<String>> {
    const PART: u64 = 64 << 10;
    let (mut found, mut kept) = (BTreeSet::new(), Vec::new());
    loop {
        // what may be the beginning of one stays for what follows
        kept.drain(..kept.len().saturating_sub(Bearer::LENGTH - 1));
        let read = text.by_ref().take(PART).read_to_end(&mut kept)?;
        kept.retain(|byte| *byte != 0);
        let texts = kept.windows(Bearer::LENGTH).filter(|window| window.get(3) == Some(&b'_'));
        let tokens = texts.filter_map(|window| std::str::from_utf8(window).ok()).filter(|text| Bearer::of(text).is_some());
        found.extend(tokens.map(str::to_owned));
        if (read as u64) < PART {
            return Ok(found);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn tokens_are_found_wherever_they_stand_and_each_once() {
        let token = |kind: Bearer, of: u8| kind.token([of; 32]).expose_secret().to_owned();
        let (session, personal, service) = (token(Bearer::Session, 1), token(Bearer::Personal, 2), token(Bearer::Service, 3));
        let mut text = vec![0xff_u8; (64 << 10) - 20];
        text.extend_from_slice(format!("X-Token={personal},{personal}\n").as_bytes());
        text.extend_from_slice(format!("{{\"{service}\":\"{session}\"}}").as_bytes());
        let mut other = personal.clone().into_bytes();
        other[10] ^= 1;
        text.extend_from_slice(&other);
        let found = find(Cursor::new(text)).expect("read");
        assert_eq!(
            found,
            BTreeSet::from([session.clone(), personal, service]),
            "over the border of what is read at once, and no other"
        );
        let wide: Vec<u8> = format!("a\r\n{session}").encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(find(Cursor::new(wide)).expect("read"), BTreeSet::from([session]));
        assert!(find(Cursor::new(b"pat_".repeat(100))).expect("read").is_empty());
    }
}
