//! Standard output: tables and blocks for people, JSON for scripts.

use std::io::{BufWriter, Stdout, Write as _};
use std::sync::LazyLock;

use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};
use unicode_width::UnicodeWidthStr as _;

use super::Failure;
use super::calls::{Named, PACKAGE};
use crate::proto;

/// A heading, and what stands below it.
pub(super) type Column<T> = (&'static str, fn(&T) -> String);

/// What is shown where there is nothing.
pub(super) const NOTHING: &str = "-";

static DESCRIPTORS: LazyLock<DescriptorPool> = LazyLock::new(|| {
    DescriptorPool::decode(proto::DESCRIPTORS).unwrap_or_else(|error| unreachable!("made by the build: {error}"))
});

/// Prints a text.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(Failure::Output)
}

/// Says something to the person, beside the output. That nobody listens is no failure.
pub(super) fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "user-management: {text}");
}

/// Standard output.
pub(super) struct Screen {
    out: BufWriter<Stdout>,
    pub(super) json: bool,
}

impl Screen {
    pub(super) fn new(json: bool) -> Self {
        Self { out: BufWriter::new(std::io::stdout()), json }
    }

    /// Writes one line.
    pub(super) fn line(&mut self, line: &str) -> Result<(), Failure> {
        writeln!(self.out, "{line}").map_err(Failure::Output)
    }

    /// Writes a message as JSON in one line.
    pub(super) fn json<T: Named>(&mut self, message: &T) -> Result<(), Failure> {
        let mut line = serde_json::Serializer::new(Vec::new());
        serialize(message, &mut line)?;
        let mut line = line.into_inner();
        line.push(b'\n');
        self.out.write_all(&line).map_err(Failure::Output)
    }

    /// Writes headings with what stands beside them, one a line.
    pub(super) fn block(&mut self, rows: &[(&str, String)]) -> Result<(), Failure> {
        let width = rows.iter().map(|(heading, _)| heading.width()).max().unwrap_or(0);
        for (heading, text) in rows {
            self.line(&format!("{heading:width$}  {}", printable(text)))?;
        }
        Ok(())
    }

    /// Hands over what was written.
    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        self.out.flush().map_err(Failure::Output)
    }
}

/// A message as a value, to stand beside others.
pub(super) fn value<T: Named>(message: &T) -> Result<serde_json::Value, Failure> {
    serialize(message, serde_json::value::Serializer)
}

/// Writes a message as the JSON that protobuf defines for it, in the order of its fields, defaults written out.
fn serialize<T: Named, S: serde::Serializer>(message: &T, serializer: S) -> Result<S::Ok, Failure> {
    let name = format!("{PACKAGE}.{}", T::NAME);
    let descriptor = DESCRIPTORS.get_message_by_name(&name).ok_or_else(|| Failure::Answer(format!("there is no {name}")))?;
    let failed = |error: &dyn std::error::Error| Failure::Answer(error.to_string());
    let message = DynamicMessage::decode(descriptor, message.encode_to_vec().as_slice()).map_err(|error| failed(&error))?;
    let options = SerializeOptions::new().skip_default_fields(false);
    message.serialize_with_options(serializer, &options).map_err(|error| failed(&error))
}

/// A table that is written page by page: its columns grow with what comes, and never shrink.
pub(super) struct Table<T: 'static> {
    columns: &'static [Column<T>],
    widths: Vec<usize>,
    begun: bool,
}

impl<T> Table<T> {
    pub(super) fn new(columns: &'static [Column<T>]) -> Self {
        Self { columns, widths: columns.iter().map(|(heading, _)| heading.width()).collect(), begun: false }
    }

    /// Writes some rows, below the headings if they are the first.
    pub(super) fn write(&mut self, screen: &mut Screen, items: &[T]) -> Result<(), Failure> {
        let row = |item| self.columns.iter().map(|(_, cell)| printable(&cell(item))).collect::<Vec<_>>();
        let mut rows: Vec<Vec<String>> = items.iter().map(row).collect();
        if !self.begun {
            self.begun = true;
            rows.insert(0, self.columns.iter().map(|(heading, _)| (*heading).to_owned()).collect());
        }
        for row in &rows {
            for (width, cell) in self.widths.iter_mut().zip(row) {
                *width = cell.width().max(*width);
            }
        }
        rows.iter().try_for_each(|row| screen.line(&aligned(row, &self.widths)))
    }
}

/// A row whose cells begin where they are displayed below each other, wide characters or not.
fn aligned(row: &[String], widths: &[usize]) -> String {
    let mut line = String::new();
    for (cell, width) in row.iter().zip(widths) {
        line.push_str(cell);
        line.extend(std::iter::repeat_n(' ', (width + 2).saturating_sub(cell.width())));
    }
    line.truncate(line.trim_end().len());
    line
}

/// What a terminal can be shown: others chose names and replies, and control characters would work on it.
fn printable(text: &str) -> String {
    let text = text.replace(|c: char| c.is_control() || is_bidi_control(c), "\u{fffd}");
    if text.is_empty() { NOTHING.to_owned() } else { text }
}

const fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_aligned_by_how_wide_they_are_displayed() {
        let widths = [4, 6];
        let row = |cells: [&str; 2]| aligned(&cells.map(str::to_owned), &widths);
        assert_eq!(row(["日本", "x"]), "日本  x");
        assert_eq!(row(["e\u{301}", "x"]), "e\u{301}     x");
        assert_eq!(row(["ab", "-"]), "ab    -");
    }

    #[test]
    fn what_would_work_on_the_terminal_is_replaced() {
        assert_eq!(printable("\u{1b}[31mred\n"), "\u{fffd}[31mred\u{fffd}");
        assert_eq!(printable("a\u{202e}b"), "a\u{fffd}b");
        assert_eq!(printable(""), "-");
    }

    #[test]
    fn json_has_the_names_of_the_contract_and_its_defaults() {
        let account = proto::Account {
            name: "acme".to_owned(),
            create_time: Some(prost_types::Timestamp { seconds: 0, nanos: 1_000_000 }),
            ..Default::default()
        };
        assert_eq!(
            value(&account).unwrap(),
            serde_json::json!({
                "name": "acme", "displayName": "", "timezone": "", "closed": false, "adminMissing": false,
                "createTime": "1970-01-01T00:00:00.001Z", "etag": "",
            })
        );
    }
}
