use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::domain::clock::Timestamp;
use crate::domain::email::Email;
use crate::mail::{Letter, Renderer};

/// A program of that name, as a script. It is run by the shell: a file that another thread's child still has open for writing couldn't be.
fn program(directory: &TempDir, script: &str, timeout: Duration) -> Sendmail {
    let path = directory.path().join("sendmail");
    fs::write(&path, script.replace("DIR", &directory.path().display().to_string())).expect("written");
    let settings = SendmailSettings { command: PathBuf::from("/bin/sh"), arguments: vec![path.display().to_string()], timeout };
    Sendmail::open(&settings, &[0]).expect("there")
}

fn mail(to: &str) -> Rendered {
    let renderer = Renderer::new("https://site.test", "Circonus <no-reply@site.test>").expect("valid");
    let to = Email::parse(to).expect("valid");
    renderer.render(&Letter::LoginExists, &to, "mail_1@site.test", Timestamp::from_micros(0)).expect("rendered")
}

async fn send(script: &str) -> Result<String, SendFault> {
    let directory = tempfile::tempdir().expect("a directory");
    program(&directory, script, Duration::from_mins(1)).send(&mail("ann@acme.test")).await
}

/// Waits until a script has written a line to a file; answers it.
async fn line(path: &Path) -> String {
    loop {
        match fs::read_to_string(path) {
            Ok(text) if text.ends_with('\n') => return text.trim().to_owned(),
            _ => tokio::task::yield_now().await,
        }
    }
}

/// Whether a process runs, and isn't merely waiting to be buried.
fn runs(id: &str) -> bool {
    fs::read_to_string(format!("/proc/{id}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

#[tokio::test]
async fn the_program_gets_sender_recipient_and_the_mail_with_the_line_ends_of_the_host() {
    let directory = tempfile::tempdir().expect("a directory");
    let script = "printf '%s\\n' \"$@\" >DIR/arguments; env >DIR/environment; cat >DIR/mail; echo queued as 17";
    let program = program(&directory, script, Duration::from_mins(1));
    let sent = mail("=x|y@acme.test");
    assert_eq!(program.send(&sent).await, Ok("handed to sendmail queued as 17".to_owned()));
    let read = |name: &str| fs::read_to_string(directory.path().join(name)).expect("written");
    assert_eq!(read("arguments").lines().collect::<Vec<_>>(), ["-i", "-f", "no-reply@site.test", "--", "=x|y@acme.test"]);
    assert_eq!(read("mail"), String::from_utf8(sent.bytes().to_vec()).expect("ASCII").replace("\r\n", "\n"));
    let environment = read("environment");
    let names: Vec<&str> = environment.lines().filter_map(|line| line.split('=').next()).collect();
    assert!(names.iter().all(|name| ["PATH", "LC_ALL", "PWD", "OLDPWD", "SHLVL", "_"].contains(name)), "{names:?}");
}

#[tokio::test]
async fn the_codes_of_sysexits_tell_refused_deferred_and_faults_of_the_deployment_apart() {
    let script = |code: u8| format!("cat >/dev/null; echo no >&2; exit {code}");
    for (code, name) in [(65, "EX_DATAERR"), (67, "EX_NOUSER"), (68, "EX_NOHOST")] {
        assert_eq!(send(&script(code)).await, Err(SendFault::Refused(format!("exit code {code} ({name}): no"))));
    }
    assert_eq!(send(&script(75)).await, Err(SendFault::Deferred("exit code 75 (EX_TEMPFAIL): no".to_owned())));
    for (code, said) in
        [(64, " (EX_USAGE): no"), (69, " (EX_UNAVAILABLE): no"), (77, " (EX_NOPERM): no"), (78, " (EX_CONFIG): no"), (1, ": no")]
    {
        assert_eq!(send(&script(code)).await, Err(SendFault::Deployment(format!("exit code {code}{said}"))));
    }
    let killed = send("cat >/dev/null; kill -9 $$").await;
    assert!(matches!(&killed, Err(SendFault::Deployment(what)) if what.contains("signal: 9")), "{killed:?}");
}

#[tokio::test]
async fn a_program_that_says_much_is_read_to_its_end_and_one_that_reads_nothing_is_judged_by_its_code() {
    let much = send("cat >/dev/null; head -c 300000 /dev/zero | tr '\\0' 'x' >&2; echo; exit 75").await;
    assert_eq!(much, Err(SendFault::Deferred("exit code 75 (EX_TEMPFAIL): […]".to_owned())));
    assert_eq!(send("exit 67").await, Err(SendFault::Refused("exit code 67 (EX_NOUSER):".to_owned())));
}

#[tokio::test]
async fn a_program_that_does_not_end_is_killed_at_its_timeout() {
    let directory = tempfile::tempdir().expect("a directory");
    let program = program(&directory, "exec sleep 1000", Duration::from_millis(250));
    let outcome = program.send(&mail("ann@acme.test")).await;
    assert_eq!(outcome, Err(SendFault::Deployment("/bin/sh didn't end within 0.25 s and was killed".to_owned())));
}

#[tokio::test]
async fn what_the_program_started_is_killed_with_it_when_nobody_waits_any_more() {
    let directory = tempfile::tempdir().expect("a directory");
    let program = program(&directory, "sleep 1000 & echo $! >DIR/child; wait", Duration::from_mins(1));
    let child = directory.path().join("child");
    let mail = mail("ann@acme.test");
    let id = tokio::select! {
        outcome = program.send(&mail) => panic!("{outcome:?}"),
        id = line(&child) => id,
    };
    while runs(&id) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_delivery_that_goes_on_in_the_background_is_neither_waited_for_nor_killed() {
    let directory = tempfile::tempdir().expect("a directory");
    let program = program(&directory, "cat >/dev/null; sleep 1000 & echo $! >DIR/child", Duration::from_mins(1));
    assert_eq!(program.send(&mail("ann@acme.test")).await, Ok("handed to sendmail".to_owned()));
    let id = line(&directory.path().join("child")).await;
    assert!(runs(&id));
    let id = Pid::from_raw(id.parse().expect("a number")).expect("an id");
    rustix::process::kill_process(id, Signal::KILL).expect("killed");
}

#[test]
fn a_program_that_is_missing_or_cannot_be_run_is_found_at_the_start() {
    let directory = tempfile::tempdir().expect("a directory");
    let plain = directory.path().join("plain");
    fs::write(&plain, "#!/bin/sh\n").expect("written");
    fs::set_permissions(&plain, fs::Permissions::from_mode(0o644)).expect("set");
    for command in [directory.path().join("nowhere"), plain, directory.path().to_owned()] {
        let settings = SendmailSettings { command, arguments: Vec::new(), timeout: Duration::from_secs(1) };
        assert!(matches!(Sendmail::open(&settings, &[]), Err(OpenError::Command { .. })));
    }
}

#[test]
fn a_program_that_others_could_put_theirs_in_the_place_of_is_not_taken() {
    let directory = tempfile::tempdir().expect("a directory");
    let (place, elsewhere) = (directory.path().join("place"), directory.path().join("elsewhere"));
    let set = |path: &Path, mode: u32| fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("set");
    for made in [&place, &elsewhere] {
        fs::create_dir(made).expect("made");
        set(made, 0o755);
    }
    fs::write(place.join("sendmail"), "").expect("written");
    set(&place.join("sendmail"), 0o755);
    std::os::unix::fs::symlink("../place/sendmail", elsewhere.join("sendmail")).expect("made");
    let open = |directory: &Path| {
        let command = directory.join("sendmail");
        let settings = SendmailSettings { command, arguments: Vec::new(), timeout: Duration::from_mins(1) };
        Sendmail::open(&settings, &ownership::own_or_root()).err().map(|error| error.to_string())
    };
    for (mode, is_taken) in [(0o755, true), (0o777, false), (0o775, false), (0o1777, true)] {
        for led in [&place, &elsewhere] {
            set(led, mode);
            let (by_itself, by_a_link) = (open(&place), open(&elsewhere));
            set(led, 0o755);
            assert_eq!(by_itself.is_none(), is_taken || led != &place, "{mode:o}: {by_itself:?}");
            assert_eq!(by_a_link.is_none(), is_taken, "{mode:o}: {by_a_link:?}");
            let said = format!("is reached by {}, which can be written by other users", led.display());
            assert!(by_a_link.is_none_or(|why| why.contains(&said)));
        }
    }
    // who isn't root can't give a directory away
    if rustix::process::geteuid().is_root() {
        // nor does a sticky directory help where the link itself is another's
        set(&elsewhere, 0o1777);
        std::os::unix::fs::lchown(elsewhere.join("sendmail"), Some(65_534), None).expect("given");
        let said = open(&elsewhere).expect("refused");
        assert!(said.contains("elsewhere/sendmail, which belongs to uid 65534"), "{said}");
        std::os::unix::fs::lchown(elsewhere.join("sendmail"), Some(0), None).expect("taken back");
        assert_eq!(open(&elsewhere), None);
        std::os::unix::fs::chown(&place, Some(65_534), None).expect("given");
        assert!(open(&place).is_some() && open(&elsewhere).is_some());
    }
}
