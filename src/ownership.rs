//! Whose files and directories are: what holds secrets or decisions must be nobody else's to read, to change, or to put another in the
//! place of.
//!
//! Whoever owns a directory further up is trusted, since all that they can put there is another directory of the same user; but not where a
//! program is run by its path.

use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Component, Path, PathBuf};

use rustix::io::Errno;

/// What is wrong with a file or directory, and what to do: words that go behind its name.
#[derive(Debug, thiserror::Error)]
pub enum Flaw {
    /// The system says no.
    #[error("can't be used: {0}")]
    Unusable(#[from] io::Error),
    /// Who made the link says what counts.
    #[error("is a link; name the directory itself")]
    Link,
    /// Something else.
    #[error("is not a directory")]
    NoDirectory,
    /// A link, a device, a pipe: what is written there goes elsewhere.
    #[error("is not a plain file; put the file itself there")]
    NoPlainFile,
    /// Somebody else put it there.
    #[error("belongs to uid {found} instead of uid {owner}; run the program as that user, or chown it")]
    Foreign {
        /// Whose it is.
        found: u32,
        /// Whose it has to be.
        owner: u32,
    },
    /// A directory in which others can make and delete.
    #[error("can be written by other users; make it 0700, or name another if it is for all")]
    Writable,
    /// A directory in which others can put theirs in a socket's place.
    #[error("can be written by other users; make it 0755 or 0711, or name another if it is for all")]
    Shared,
    /// A directory in which others can put another in its place.
    #[error("lies below {}, which everybody may write and which isn't sticky; make that one 0755 or 1777", .0.display())]
    Below(PathBuf),
    /// A directory or a link that others can have a program's path lead elsewhere by.
    #[error("is reached by {}, which {}", .0.display(), .1)]
    Led(PathBuf, Box<Flaw>),
    /// A file of data.
    #[error("can be read or written by other users; make it 0600, once it is sure that none of them changed it")]
    Open,
    /// A file that says whom to trust or what to do.
    #[error("can be written by other users; make it theirs to read at most (chmod go-w)")]
    Bendable,
    /// A key or a password.
    #[error("can be read by everybody or written by its group; make it 0600, or 0640 for a group that may read it")]
    Exposed,
}

/// The user that runs the program.
#[must_use]
pub fn own() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// The user that what is there of a site has to belong to, for whoever only looks at it: root looks on behalf of whom the data belongs to,
/// and where there is none can't say who that will be.
#[must_use]
pub fn of_site(data_dir: &Path) -> Option<u32> {
    match own() {
        0 => fs::symlink_metadata(data_dir).ok().map(|found| found.uid()),
        own => Some(own),
    }
}

/// The users whose word counts: whoever runs the program, and root, who could take theirs for it anyway.
#[must_use]
pub fn own_or_root() -> Vec<u32> {
    vec![own(), 0]
}

/// The users whose word counts for a site: those, and for root, who looks on its behalf, whom the data belongs to; anybody's, which is none
/// here, while there is no data.
#[must_use]
pub fn trusted_by(data_dir: &Path) -> Vec<u32> {
    of_site(data_dir).map(|owner| [vec![owner], own_or_root()].concat()).unwrap_or_default()
}

/// Takes a directory for the program's own: judges it, and closes it to others' eyes, who may have been meant to see it.
pub fn take_directory(path: &Path) -> Result<(), Flaw> {
    let found = check_directory(path, &[own()])?;
    if found.mode() & 0o077 != 0 {
        fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
        tracing::warn!(path = %path.display(), "a directory that others could read was made 0700");
    }
    Ok(())
}

/// Judges a directory, which has to belong to one of these users, or to anybody if there are none; told of is the first.
pub fn check_directory(path: &Path, owners: &[u32]) -> Result<Metadata, Flaw> {
    // with a slash at its end a link is followed
    let found = fs::symlink_metadata(path.components().as_path())?;
    if found.is_symlink() {
        return Err(Flaw::Link);
    }
    if !found.is_dir() {
        return Err(Flaw::NoDirectory);
    }
    check_owner(&found, owners)?;
    if found.mode() & 0o022 != 0 {
        return Err(Flaw::Writable);
    }
    check_place(path)?;
    Ok(found)
}

/// Judges a directory of a socket that others connect to, who mustn't put theirs in its place; a sticky one lets them while there is none.
pub fn check_shared(path: &Path, owners: &[u32]) -> Result<(), Flaw> {
    let found = fs::metadata(path)?;
    if !found.is_dir() {
        return Err(Flaw::NoDirectory);
    }
    check_owner(&found, owners)?;
    if found.mode() & 0o022 != 0 {
        return Err(Flaw::Shared);
    }
    check_place(path)
}

/// As many as the kernel follows.
const LINKS: usize = 40;

/// Judges where something is, or is to be made: nobody must be able to put theirs in the place of a directory or link on the way to it, whatever
/// links lead there. A group that may write is often the user's own, as the umask of their home has it.
pub fn check_place(path: &Path) -> Result<(), Flaw> {
    walk(path, |at, found| {
        let everybody_writes = found.is_dir() && found.mode() & 0o1002 == 0o002;
        if everybody_writes { Err(Flaw::Below(at.to_owned())) } else { Ok(()) }
    })
}

/// Judges the way to a program that is run by its path: none but these users, or anybody if there are none, must be able to put another there.
pub fn check_way(path: &Path, owners: &[u32]) -> Result<(), Flaw> {
    walk(path, |at, found| {
        // nobody deletes or renames what isn't theirs in a sticky one
        let others_write = found.is_dir() && found.mode() & 0o022 != 0 && found.mode() & 0o1000 == 0;
        let judged = check_owner(found, owners).and(if others_write { Err(Flaw::Bendable) } else { Ok(()) });
        judged.map_err(|flaw| Flaw::Led(at.to_owned(), Box::new(flaw)))
    })
}

/// Goes to where something is, or is to be made, and judges each directory and link on the way.
fn walk(path: &Path, judge: impl Fn(&Path, &Metadata) -> Result<(), Flaw>) -> Result<(), Flaw> {
    let mut left = Vec::new();
    let mut at = PathBuf::from("/");
    let mut links = 0;
    go_on(&mut left, &mut at, &std::path::absolute(path)?);
    while let Some(name) = left.pop() {
        judge(&at, &fs::symlink_metadata(&at)?)?;
        if name == ".." {
            at.pop();
            continue;
        }
        let next = at.join(name);
        match fs::symlink_metadata(&next) {
            Ok(found) if found.is_symlink() => {
                judge(&next, &found)?;
                links += 1;
                if links > LINKS {
                    return Err(io::Error::from(Errno::LOOP).into());
                }
                go_on(&mut left, &mut at, &fs::read_link(&next)?);
            }
            Ok(_) => at = next,
            // what is to be made there is the program's own, unless it leads out again
            Err(error) if error.kind() == ErrorKind::NotFound && left.iter().all(|name| name != "..") => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Puts the parts of a path before those that are left, the next one last.
fn go_on(left: &mut Vec<OsString>, at: &mut PathBuf, path: &Path) {
    if path.is_absolute() {
        *at = PathBuf::from("/");
    }
    let parts = path.components().filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir));
    left.extend(parts.map(|part| part.as_os_str().to_owned()).collect::<Vec<_>>().into_iter().rev());
}

/// Opens a file that a deployment brings. What is none, such as a pipe, isn't waited for.
pub fn open_file(path: &Path) -> io::Result<File> {
    let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or(0);
    let file = fs::OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::new(ErrorKind::InvalidInput, "it is no plain file")) }
}

/// Judges a file of data, if it is there.
pub fn check_data(path: &Path, owner: Option<u32>) -> Result<(), Flaw> {
    let found = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        found => found?,
    };
    if !found.is_file() {
        return Err(Flaw::NoPlainFile);
    }
    check_owner(&found, owner.as_slice())?;
    if found.mode() & 0o077 != 0 { Err(Flaw::Open) } else { Ok(()) }
}

/// Judges an open file with a key or a password that a deployment brings. A group may read it: `ssl-cert`, or root's, as systemd shows
/// a credential.
pub fn check_secret(file: &File, owners: &[u32]) -> Result<(), Flaw> {
    let found = file.metadata()?;
    check_owner(&found, owners)?;
    if found.mode() & 0o026 != 0 { Err(Flaw::Exposed) } else { Ok(()) }
}

/// Judges an open file or directory that says whom to trust or what to do: everybody may read it, and nobody else write.
pub fn check_trusted(file: &File, owners: &[u32]) -> Result<(), Flaw> {
    // nor does it help that it is mounted for reading alone: that says nothing of where else it is, and a sandbox has everything so
    let found = file.metadata()?;
    check_owner(&found, owners)?;
    if found.mode() & 0o022 != 0 { Err(Flaw::Bendable) } else { Ok(()) }
}

fn check_owner(found: &Metadata, owners: &[u32]) -> Result<(), Flaw> {
    match owners {
        [owner, ..] if !owners.contains(&found.uid()) => Err(Flaw::Foreign { found: found.uid(), owner: *owner }),
        _ => Ok(()),
    }
}
