//! Mail as files, for a host without a relay.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::{OpenError, SendFault, one_line};
use crate::mail::renderer::Rendered;
use crate::ownership;

/// A directory that takes one `.eml` file per mail, named for its Message-ID.
///
/// A repeated attempt replaces the file instead of adding another. Ids of mails begin with their time, so the names sort by it.
pub(super) struct Directory {
    path: PathBuf,
}

impl Directory {
    /// Makes the directory, for this user alone, unless it is there: links in mails open logins.
    pub(super) fn open(path: &Path) -> Result<Self, OpenError> {
        let failed = |source| OpenError::Directory { path: path.to_owned(), source };
        let refused = |flaw| OpenError::Unsafe { path: path.to_owned(), flaw };
        ownership::check_place(path).map_err(refused)?;
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
        ownership::take_directory(path).map_err(refused)?;
        Ok(Self { path: fs::canonicalize(path).map_err(failed)? })
    }

    /// Writes a mail, durably and whole: nobody sees half a file.
    pub(super) async fn write(&self, mail: &Rendered) -> Result<String, SendFault> {
        let name = name(mail.message_id());
        let (directory, file, bytes) = (self.path.clone(), name.clone(), mail.bytes().to_owned());
        let written = tokio::task::spawn_blocking(move || replace(&directory, &file, &bytes)).await;
        match written.map_err(io::Error::other).flatten() {
            Ok(()) => Ok(format!("written to {name}")),
            Err(fault) => Err(SendFault::Deployment(one_line(&format!("writing {name}: {fault}")))),
        }
    }

    /// Deletes a mail's file, and the draft of one that was cut short.
    pub(super) fn erase(&self, message_id: &str) -> io::Result<()> {
        let name = name(message_id);
        remove_if_there(&self.path.join(&name))?;
        remove_if_there(&self.path.join(draft(&name)))?;
        File::open(&self.path)?.sync_all()
    }
}

fn name(message_id: &str) -> String {
    format!("{}.eml", message_id.split('@').next().unwrap_or_default())
}

fn draft(name: &str) -> String {
    format!(".{name}.part")
}

fn remove_if_there(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(fault) if fault.kind() != io::ErrorKind::NotFound => Err(fault),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn replace(directory: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let draft = directory.join(draft(name));
    // what an attempt that was cut short left behind; made anew below, so that no link or open file of that name is written to
    remove_if_there(&draft)?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&draft, directory.join(name))?;
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::domain::clock::Timestamp;
    use crate::domain::email::Email;
    use crate::mail::{Letter, Renderer};

    fn mail(message_id: &str) -> Rendered {
        let renderer = Renderer::new("https://site.test", "Circonus <no-reply@site.test>").expect("valid");
        let ann = Email::parse("ann@acme.test").expect("valid");
        renderer.render(&Letter::LoginExists, &ann, message_id, Timestamp::from_micros(0)).expect("rendered")
    }

    fn names(path: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(path)
            .expect("readable")
            .map(|entry| entry.expect("entry").file_name().into_string().expect("utf-8"))
            .collect();
        names.sort();
        names
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("there").permissions().mode() & 0o7777
    }

    #[tokio::test]
    async fn a_mail_is_a_private_file_and_its_repetition_replaces_it() {
        let root = tempfile::tempdir().expect("a directory");
        let path = root.path().join("data/mail");
        let directory = Directory::open(&path).expect("made");
        assert_eq!(mode(&path), 0o700);
        for id in ["mail_2@site.test", "mail_1@site.test", "mail_2@site.test"] {
            directory.write(&mail(id)).await.expect("written");
        }
        assert_eq!(names(&path), ["mail_1.eml", "mail_2.eml"]);
        assert_eq!(mode(&path.join("mail_1.eml")), 0o600);
        assert_eq!(fs::read(path.join("mail_1.eml")).expect("readable"), mail("mail_1@site.test").bytes());
    }

    #[tokio::test]
    async fn what_a_crash_left_behind_does_not_stop_the_next_attempt() {
        let root = tempfile::tempdir().expect("a directory");
        let directory = Directory::open(root.path()).expect("there already");
        fs::write(root.path().join(".mail_1.eml.part"), "half").expect("written");
        let said = directory.write(&mail("mail_1@site.test")).await;
        assert_eq!(said, Ok("written to mail_1.eml".to_owned()));
        assert_eq!(names(root.path()), ["mail_1.eml"]);
    }

    #[tokio::test]
    async fn a_directory_that_went_away_is_a_fault_of_the_deployment() {
        let root = tempfile::tempdir().expect("a directory");
        let path = root.path().join("mail");
        let directory = Directory::open(&path).expect("made");
        fs::remove_dir(&path).expect("removed");
        assert!(matches!(directory.write(&mail("mail_1@site.test")).await, Err(SendFault::Deployment(_))));
        fs::write(&path, "a file").expect("written");
        assert!(matches!(Directory::open(&path), Err(OpenError::Directory { .. })));
    }
}
