//! The file of the key that links in mails are derived with.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::domain::token::LinkKey;
use crate::store;

/// Why there is no key to use.
#[derive(Debug, thiserror::Error)]
pub enum LinkKeyError {
    /// An old database without its key: making another would silently end every link.
    #[error("the link key {0} is missing beside an existing database; restore it from the backup, or set link_key_file")]
    Missing(PathBuf),
    /// The file can't be read or made.
    #[error("the link key {0} can't be used")]
    File(PathBuf, #[source] std::io::Error),
    /// Others can read it.
    #[error("the link key {0} can be read by other users; make it 0600")]
    Exposed(PathBuf),
    /// The file holds something else.
    #[error("the link key {0} must hold a number and 64 hexadecimal digits")]
    Malformed(PathBuf),
}

/// Reads the key, or makes it if the database is fresh and there is none.
pub(super) fn load(path: &Path, fresh: bool) -> Result<LinkKey, LinkKeyError> {
    match OpenOptions::new().read(true).open(path) {
        Ok(mut file) => {
            let failed = |error| LinkKeyError::File(path.to_owned(), error);
            if is_exposed(&file.metadata().map_err(failed)?) {
                return Err(LinkKeyError::Exposed(path.to_owned()));
            }
            let mut text = String::new();
            file.read_to_string(&mut text).map_err(failed)?;
            parse(&text).ok_or_else(|| LinkKeyError::Malformed(path.to_owned()))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && fresh => {
            create(path).map_err(|error| LinkKeyError::File(path.to_owned(), error))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(LinkKeyError::Missing(path.to_owned())),
        Err(error) => Err(LinkKeyError::File(path.to_owned(), error)),
    }
}

/// Whether others than its owner and root can read it.
///
/// systemd shows a credential to the service's user by an ACL, whose mask stands where the group's rights usually do: a file of root's
/// group with 0440. That group may read it, then; what the ACL says beyond is root's own doing.
fn is_exposed(file: &std::fs::Metadata) -> bool {
    let beyond_owner = if file.gid() == 0 { 0o037 } else { 0o077 };
    file.mode() & beyond_owner != 0
}

fn parse(text: &str) -> Option<LinkKey> {
    let (number, digits) = text.trim().split_once(' ')?;
    let bytes = digits.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
    let secret: Vec<u8> = bytes.collect::<Option<_>>()?;
    Some(LinkKey::new(number.parse().ok()?, secret.try_into().ok()?))
}

/// The key reaches the disk, whole, before anything is derived with it: a first start that is cut short leaves no half of one.
fn create(path: &Path) -> std::io::Result<LinkKey> {
    let secret: [u8; 32] = store::random().map_err(std::io::Error::other)?;
    let mut text = String::from("1 ");
    for byte in secret {
        let _ = write!(text, "{byte:02x}");
    }
    text.push('\n');
    let mut draft = path.as_os_str().to_owned();
    draft.push(".part");
    match std::fs::remove_file(&draft) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&draft, path)?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::File::open(parent)?.sync_all()?;
    Ok(LinkKey::new(1, secret))
}
