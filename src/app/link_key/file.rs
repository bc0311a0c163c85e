//! The file of the link keys: one line for the key that links are made with, and one for each former key with its end.
//!
//! ```text
//! 2 <64 hexadecimal digits>
//! 1 <64 hexadecimal digits> 2026-12-01T14:00:00Z
//! ```

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::domain::clock::Timestamp;
use crate::domain::token::{LinkKey, LinkKeys};
use crate::ownership;
use crate::store;

/// No file of keys is longer: a former key lasts a week, and nobody rotates a hundred times in one.
const LONGEST: u64 = 16 * 1024;

/// Why there is no key to use.
#[derive(Debug, thiserror::Error)]
pub enum LinkKeyError {
    /// An old database without its key: making another would silently end every link.
    #[error(
        "the link key {0} is missing beside an existing database; restore it from the backup, or set link_key_file to where it is"
    )]
    Missing(PathBuf),
    /// The file can't be read or made.
    #[error("the link key {0} can't be used")]
    File(PathBuf, #[source] std::io::Error),
    /// Others can read it.
    #[error("the link key {0} can be read by other users; make it 0600")]
    Exposed(PathBuf),
    /// Somebody else put it there.
    #[error("the link key {0} belongs to another user than root and the one of the service")]
    Foreign(PathBuf),
    /// The file holds something else.
    #[error(
        "the link key {0} must hold a number and 64 hexadecimal digits, and behind them, in lines of their own, former keys with their ends"
    )]
    Malformed(PathBuf),
}

/// Reads the keys of a site that has some.
pub fn read(path: &Path) -> Result<LinkKeys, LinkKeyError> {
    read_of(path, &ownership::own_or_root())
}

/// The same for whoever only looks on behalf of a site: the file has to belong to one of these users, or to anybody if there are none.
pub(super) fn read_of(path: &Path, owners: &[u32]) -> Result<LinkKeys, LinkKeyError> {
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => LinkKeyError::Missing(path.to_owned()),
        _ => LinkKeyError::File(path.to_owned(), error),
    };
    let file = ownership::open_file(path).map_err(failed)?;
    let found = file.metadata().map_err(failed)?;
    if !owners.is_empty() && !owners.contains(&found.uid()) {
        return Err(LinkKeyError::Foreign(path.to_owned()));
    }
    if is_exposed(&found) {
        return Err(LinkKeyError::Exposed(path.to_owned()));
    }
    let mut bytes = Vec::new();
    let length = file.take(LONGEST + 1).read_to_end(&mut bytes).map_err(failed)?;
    // the beginning of a longer one could be taken for the whole
    parse(&bytes).filter(|_| length as u64 <= LONGEST).ok_or_else(|| LinkKeyError::Malformed(path.to_owned()))
}

/// Makes the first key of a fresh site, unless there is one already: a file of the deployment's.
pub(super) fn read_or_make(path: &Path) -> Result<LinkKeys, LinkKeyError> {
    match read(path) {
        Err(LinkKeyError::Missing(_)) => {}
        other => return other,
    }
    let made = store::random().map_err(std::io::Error::other).and_then(|secret| {
        let keys = LinkKeys::new(LinkKey::new(1, secret), Vec::new());
        Draft::write(path, &keys)?.put()?;
        Ok(keys)
    });
    made.map_err(|error| LinkKeyError::File(path.to_owned(), error))
}

/// Keys that lie beside the file, whole and on the disk, and aren't in force yet.
pub(crate) struct Draft {
    path: PathBuf,
    draft: PathBuf,
}

impl Draft {
    /// Writes keys beside the file of a path, for whom that file belongs to. What a cut-short rotation left there makes room.
    pub(crate) fn write(path: &Path, keys: &LinkKeys) -> std::io::Result<Self> {
        let draft = beside(path);
        match std::fs::remove_file(&draft) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        if let Ok(before) = std::fs::metadata(path)
            && before.uid() != file.metadata()?.uid()
        {
            // root rotates the key of the service's user
            std::os::unix::fs::fchown(&file, Some(before.uid()), Some(before.gid()))?;
        }
        file.write_all(text(keys).as_bytes())?;
        file.sync_all()?;
        Ok(Self { path: path.to_owned(), draft })
    }

    /// The draft that a cut-short rotation left, if it has the key of this digest.
    pub(super) fn left(path: &Path, digest: [u8; 32]) -> Option<Self> {
        let draft = beside(path);
        let keys = read(&draft).ok()?;
        (keys.current().digest() == digest).then(|| Self { path: path.to_owned(), draft })
    }

    /// Forgets it.
    pub(crate) fn discard(self) -> std::io::Result<()> {
        std::fs::remove_file(self.draft)
    }

    /// Puts it in the file's place.
    pub(crate) fn put(self) -> std::io::Result<()> {
        std::fs::rename(&self.draft, &self.path)?;
        let parent = self.path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(parent)?.sync_all()
    }
}

fn beside(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".part");
    PathBuf::from(name)
}

/// Whether others than its owner and root can read it.
///
/// systemd shows a credential to the service's user by an ACL, whose mask stands where the group's rights usually do: a file of root's
/// group with 0440. That group may read it, then; what the ACL says beyond is root's own doing.
fn is_exposed(file: &Metadata) -> bool {
    let beyond_owner = if file.gid() == 0 { 0o037 } else { 0o077 };
    file.mode() & beyond_owner != 0
}

fn parse(bytes: &[u8]) -> Option<LinkKeys> {
    let mut lines = std::str::from_utf8(bytes).ok()?.trim_end().lines();
    let (current, end) = parse_line(lines.next()?)?;
    let former = lines.map(|line| parse_line(line).and_then(|(key, end)| Some((key, end?)))).collect::<Option<Vec<_>>>()?;
    // a link names its key by the number
    let mut numbers: Vec<u32> = former.iter().map(|(key, _)| key.number()).chain([current.number()]).collect();
    numbers.sort_unstable();
    let apart = numbers.windows(2).all(|pair| pair.first() != pair.last());
    (end.is_none() && apart).then(|| LinkKeys::new(current, former))
}

fn parse_line(line: &str) -> Option<(LinkKey, Option<Timestamp>)> {
    let mut words = line.split_ascii_whitespace();
    let (number, digits, end) = (words.next()?, words.next()?, words.next());
    let is_whole = digits.len() == 64 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()) && words.next().is_none();
    let number = number.bytes().all(|digit| digit.is_ascii_digit()).then(|| number.parse().ok())??;
    let bytes = is_whole.then(|| digits.as_bytes().chunks(2))?;
    let bytes = bytes.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect::<Option<Vec<_>>>()?;
    let end = match end {
        Some(end) => Some(Timestamp::from_micros(end.parse::<jiff::Timestamp>().ok()?.as_microsecond())),
        None => None,
    };
    Some((LinkKey::new(number, bytes.try_into().ok()?), end))
}

fn text(keys: &LinkKeys) -> String {
    let mut text = String::new();
    let mut line = |key: &LinkKey, end: Option<Timestamp>| {
        let _ = write!(text, "{} ", key.number());
        for byte in key.secret() {
            let _ = write!(text, "{byte:02x}");
        }
        if let Some(end) = end {
            let _ = write!(text, " {end}");
        }
        text.push('\n');
    };
    line(keys.current(), None);
    for (key, end) in keys.former() {
        line(key, Some(*end));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "1111111111111111111111111111111111111111111111111111111111111111";

    #[test]
    fn keys_are_read_as_they_were_written() {
        let former =
            vec![(LinkKey::new(2, [0xab; 32]), Timestamp::from_micros(1)), (LinkKey::new(1, [1; 32]), Timestamp::from_micros(0))];
        let keys = LinkKeys::new(LinkKey::new(3, [7; 32]), former);
        let read = parse(text(&keys).as_bytes()).expect("keys");
        assert_eq!(text(&read), text(&keys));
        assert_eq!(read.current().digest(), keys.current().digest());
        assert!(parse(format!("1  {ONE}").as_bytes()).is_some(), "as the commands of the unit file write it");
    }

    #[test]
    fn what_is_cut_off_or_not_quite_a_key_is_none() {
        let whole = format!("2 {ONE}\n1 {ONE} 2026-12-01T14:00:00Z\n");
        assert!(parse(whole.as_bytes()).is_some());
        let ends_of_lines = [66, 67, 154, 155];
        for length in (0..whole.len()).filter(|length| !ends_of_lines.contains(length)) {
            assert!(parse(&whole.as_bytes()[..length]).is_none(), "{:?}", &whole[..length]);
        }
        let plus = ONE.replacen("11", "+1", 1);
        for wrong in
            [format!("1 {plus}"), format!("+1 {ONE}"), format!("4294967296 {ONE}"), format!("1 {ONE} {ONE}"), ONE.to_owned()]
        {
            assert!(parse(wrong.as_bytes()).is_none(), "{wrong}");
        }
        for wrong in [
            format!("1 {ONE} 2026-12-01T14:00:00Z"),
            format!("2 {ONE}\n1 {ONE}"),
            format!("2 {ONE}\n\n1 {ONE} never"),
            format!("2 {ONE}\n2 {ONE} 2026-12-01T14:00:00Z"),
        ] {
            assert!(parse(wrong.as_bytes()).is_none(), "{wrong}");
        }
    }
}
