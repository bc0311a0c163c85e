//! What callers know: texts that stood in answers and mails, by the name of their field.

use std::path::Path;

use prost_reflect::{DynamicMessage, Value};

use super::cast::Stage;
use crate::mailbox::token_of;
use crate::mutator::Dice;
use crate::site::PASSWORD;

/// Texts that are remembered; later ones take the places of others.
const MOST: usize = 400;

/// Texts by the name of their field.
pub(super) struct Pool {
    texts: Vec<(String, String)>,
    learned: usize,
    fresh: u32,
    /// Whether texts are for a message that nobody would send.
    pub(super) wild: bool,
}

impl Pool {
    pub(super) fn new(stage: &Stage) -> Self {
        let texts = stage.known.iter().map(|(field, text)| ((*field).to_owned(), text.clone())).collect();
        Self { texts, learned: 0, fresh: 0, wild: false }
    }

    /// Remembers the texts of an answer.
    pub(super) fn learn(&mut self, answer: &DynamicMessage) {
        for (field, value) in answer.fields() {
            match value {
                Value::String(text) => self.remember(field.name(), text),
                Value::Message(message) => self.learn(message),
                Value::List(values) => {
                    values.iter().take(20).filter_map(Value::as_message).for_each(|message| self.learn(message));
                }
                _ => {}
            }
        }
    }

    /// Remembers the tokens of mails.
    pub(super) fn read_mails(&mut self, directory: &Path) {
        let Ok(entries) = std::fs::read_dir(directory) else { return };
        let mails = entries.filter_map(|entry| std::fs::read_to_string(entry.ok()?.path()).ok());
        let tokens: Vec<String> = mails.filter_map(|mail| token_of(&mail)).collect();
        for token in tokens {
            self.remember("token", &token);
        }
    }

    fn remember(&mut self, field: &str, text: &str) {
        let known = (field.to_owned(), text.to_owned());
        if text.is_empty() || text.len() > 200 || self.texts.contains(&known) {
            return;
        }
        if self.texts.len() < MOST {
            self.texts.push(known);
        } else {
            // those that the stage gave stay
            self.learned = (self.learned + 1) % (MOST / 2);
            self.texts[MOST / 2 + self.learned] = known;
        }
    }

    /// Any text.
    pub(super) fn any(&self, dice: &mut Dice) -> String {
        dice.pick(&self.texts).1.clone()
    }

    /// A text for a field of a request: mostly one that was answered for such a field, sometimes another, bent or none at all.
    pub(super) fn text(&mut self, dice: &mut Dice, field: &str) -> String {
        let fitting = self.fitting(dice, field);
        match dice.below(if self.wild { 12 } else { 1 }) {
            _ if !self.wild => fitting,
            0 => self.any(dice),
            1 => dice.word(),
            2 => {
                let word = dice.word();
                let at = (0..=fitting.len()).filter(|at| fitting.is_char_boundary(*at)).collect::<Vec<_>>();
                let (before, behind) = fitting.split_at(*dice.pick(&at));
                format!("{before}{word}{behind}")
            }
            3 => fitting.repeat(*dice.pick(&[2, 10, 300])),
            _ => fitting,
        }
    }

    fn fitting(&mut self, dice: &mut Dice, field: &str) -> String {
        let id = |text: &str, prefix: &str| text.starts_with(prefix);
        let fits = |(of, text): &&(String, String)| match field {
            "account" => of == "name" || of == "account",
            "user" => id(text, "usr_") || of == "email",
            "actor" | "subject" => text.get(3..4) == Some("_") && text.len() == 36,
            "invitation" => id(text, "inv_"),
            "service" => id(text, "svc_") && text.len() == 36,
            "session" => id(text, "sid_"),
            "api_token" => id(text, "tok_"),
            "mail" => id(text, "mail_"),
            "epoch" => id(text, "epo_"),
            "token" => of == "token" || of == "session_token",
            "page_token" => of == "next_page_token",
            "email" | "email_prefix" | "new_email" => of == "email",
            _ => of == field,
        };
        let found: Vec<&(String, String)> = self.texts.iter().filter(fits).collect();
        let rarely = match field {
            // mostly there is nothing to be held against, and nobody repeats a call
            "etag" | "page_token" | "request_id" => !dice.once_in(4),
            "email" | "new_email" | "name" => dice.once_in(2),
            _ => dice.once_in(8),
        };
        if !found.is_empty() && !rarely {
            return dice.pick(&found).1.clone();
        }
        self.fresh += 1;
        let fresh = self.fresh;
        match field {
            "account" | "name" | "name_prefix" => format!("fresh-{fresh}"),
            "email" | "new_email" | "email_prefix" | "user" => format!("fresh{fresh}@acme.test"),
            "request_id" if dice.once_in(4) => format!("00000000-0000-4000-8000-{:012}", dice.below(20)),
            "request_id" => format!("00000000-0000-4000-8001-{fresh:012}"),
            "page_token" | "etag" | "actor" | "subject" => String::new(),
            "timezone" => "Europe/Berlin".to_owned(),
            "scopes" => "users.read".to_owned(),
            "certificate_name" => format!("tool{fresh}.acme.test"),
            field if field.contains("password") && dice.once_in(4) => format!("purple otter {fresh} hums"),
            field if field.contains("password") => PASSWORD.to_owned(),
            _ => format!("Fresh {fresh}"),
        }
    }
}
