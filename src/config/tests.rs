//! What counts, in which order, and what is refused.

#[path = "../../tests/suite/skipped.rs"]
mod skipped;

use std::os::unix::fs::PermissionsExt as _;

use super::mail::SmtpSecurity;
use super::*;

fn refused(text: &str) -> Vec<String> {
    Config::from_toml(text).err().expect("refused").0
}

#[test]
fn nothing_at_all_is_a_configuration() {
    let config = Config::load(&Flags::default(), [("PATH", "/bin")]).expect("the defaults");
    assert_eq!(config.grpc.listen, ["127.0.0.1:7001".parse().unwrap()]);
    assert_eq!(config.grpc.socket, PathBuf::from("./user-management-data/grpc.sock"));
    assert_eq!(config.link_key_file, PathBuf::from("./user-management-data/link.key"));
    assert_eq!(config.invitation_lifetime, Some(Duration::from_hours(7 * 24)));
    assert_eq!(config.web.public_url, "http://localhost:7080");
    assert!(matches!(config.mail.transport, MailTransport::Directory { .. }));
    assert_eq!((config.edition, config.signup), (None, None));
}

#[test]
fn history_is_kept_for_ever_or_for_a_month_at_least() {
    let kept = |days: u64| Config::from_toml(&format!("events.retention_days = {days}")).map(|config| config.event_retention);
    assert_eq!((kept(0), kept(30)), (Ok(None), Ok(Some(Duration::from_hours(30 * 24)))));
    assert_eq!(Config::from_toml("").unwrap().event_retention, None);
    for days in [1, 29] {
        let refusal = refused(&format!("events.retention_days = {days}"));
        assert_eq!(refusal, ["events.retention_days (the text): must be 0, which keeps history for ever, or at least 30"]);
    }
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.toml");
    std::fs::write(&file, "edition = 'inside'\ndata_dir = '/file'\nsignup = 'closed'\n[grpc]\nlisten = ['127.0.0.1:1']\n")
        .unwrap();
    let flags = Flags { config: Some(file), listen: vec!["127.0.0.1:3".parse().unwrap()], ..Flags::default() };
    let environment = [
        ("USER_MANAGEMENT_DATA_DIR", "/environment"),
        ("USER_MANAGEMENT_GRPC__LISTEN", "127.0.0.1:2"),
        ("USER_MANAGEMENT_GRPC__OPERATOR_UIDS", "1000, 1001"),
        ("USER_MANAGEMENT_LIMITS__CONNECTIONS", "5"),
        ("USER_MANAGEMENT_GRPC__ALLOW_PLAINTEXT", "true"),
    ];
    let config = Config::load(&flags, environment).expect("valid");
    assert_eq!(config.grpc.listen, ["127.0.0.1:3".parse().unwrap()]);
    assert_eq!(config.data_dir, PathBuf::from("/environment"));
    assert_eq!(config.grpc.socket, PathBuf::from("/environment/grpc.sock"), "defaults follow the directory");
    assert_eq!(config.grpc.operator_uids, [1000, 1001]);
    assert_eq!((config.limits.connections, config.grpc.allow_plaintext), (5, true));
    assert_eq!((config.edition, config.signup), (Some(Edition::Inside), Some(Signup::Closed)));
}

#[test]
fn a_file_that_others_could_write_says_nothing_and_one_with_a_password_is_not_for_everybody_to_read() {
    const WRITABLE: &str = "can be written by other users; make it theirs to read at most (chmod go-w)";
    const EXPOSED: &str = "holds mail.smtp.password and can be read by everybody or written by its group; \
                           make it 0600, or 0640 for a group that may read it, or use mail.smtp.password_file";
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.toml");
    let secret = RELAY.replace("smtp.host = 'relay'", "smtp.host = 'relay', smtp.username = 'u', smtp.password = 'hunter2'");
    for (text, mode, said) in [
        ("signup = 'closed'", 0o644, None),
        ("signup = 'closed'", 0o664, Some(WRITABLE)),
        ("signup = 'closed'", 0o646, Some(WRITABLE)),
        (secret.as_str(), 0o600, None),
        (secret.as_str(), 0o640, None),
        (secret.as_str(), 0o644, Some(EXPOSED)),
        (secret.as_str(), 0o660, Some(WRITABLE)),
    ] {
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        let flags = Flags { config: Some(file.clone()), ..Flags::default() };
        let refused = Config::load(&flags, [("PATH", "/bin")]).err().map(|error| error.0);
        assert_eq!(refused, said.map(|said| vec![format!("{}: {said}", file.display())]), "{mode:o} {text}");
    }
    // who isn't root can't give a file away
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&file, Some(65_534), None).unwrap();
        let flags = Flags { config: Some(file.clone()), ..Flags::default() };
        let refused = Config::load(&flags, [("PATH", "/bin")]).err().expect("refused").to_string();
        assert!(refused.contains("belongs to uid 65534 instead of uid 0"), "{refused}");
    } else {
        skipped::skipped("for want of root: a configuration of another user");
    }
}

#[test]
fn every_violation_is_told_at_once_with_key_and_origin() {
    let text = "
        editon = 'inside'
        edition = 'SaaS'
        grpc = { listen = ['0.0.0.0:7001', 'here'], tls = { key = 'k' }, operator_uids = [-1] }
        limits.connections = 0
        limits.request_seconds = '5'
        session = 3
        password.memory_kib = 4
        web = { public_url = 'ftp://x', listen = '127.0.0.1:80' }
        log.filter = 'a=b=c'
    ";
    let violations = refused(text);
    for part in [
        "editon (the text): unknown key",
        "edition (the text): unknown edition \"SaaS\": inside or saas",
        "grpc.listen (the text): \"here\": must be an IP address and a port, such as 127.0.0.1:7001 or [::1]:7001",
        "grpc.tls.certificate (not set): is needed when grpc.tls is set",
        "grpc.operator_uids (the text): \"-1\": invalid digit found in string",
        "limits.connections (the text): must be a whole number from 1 to 100000",
        "limits.request_seconds (the text): must be a whole number from 1 to 3600",
        "session (the text): must be a table",
        "password.memory_kib (the text): must be a whole number from 8 to 4194304",
        "web.public_url (the text): must be an http or https URL without user, query and fragment",
        "web.listen (the text): unknown key",
        "log.filter (the text): ",
    ] {
        assert!(violations.iter().any(|violation| violation.starts_with(part)), "{part} in {violations:#?}");
    }
    assert!(violations.iter().all(|violation| !violation.contains('\n')));
}

#[test]
fn a_mistyped_variable_and_a_broken_file_are_errors() {
    let error = Config::load(&Flags::default(), [("USER_MANAGEMENT_LISTEN", "x")]).err().expect("refused");
    assert_eq!(error.0, ["listen (environment variable USER_MANAGEMENT_LISTEN): unknown key"]);
    let violations = refused("edition = 'inside'\nsignup =\n");
    assert!(violations[0].starts_with("the text, line 2: "), "{violations:?}");
    let missing = Flags { config: Some(PathBuf::from("/nowhere/config.toml")), ..Flags::default() };
    let error = Config::load(&missing, [("A", "b")]).err().expect("refused").to_string();
    assert!(error.starts_with("/nowhere/config.toml: can't be read: "), "{error}");
}

#[test]
fn others_reach_no_plaintext_listener_unless_that_is_written_out() {
    let listen = "grpc.listen = ['192.0.2.1:7001', '[::]:7001', '127.0.0.1:7001', '[::1]:7001']\n";
    assert_eq!(refused(listen).len(), 2);
    assert!(Config::from_toml(&format!("{listen}grpc.allow_plaintext = true")).is_ok());
    let config = Config::from_toml(&format!("{listen}[grpc.tls]\ncertificate = 'c'\nkey = 'k'")).expect("valid");
    let tls = TlsFiles { certificate: PathBuf::from("c"), key: PathBuf::from("k"), client_ca: None };
    assert_eq!(config.grpc.tls, Some(tls));
}

#[test]
fn metrics_are_for_the_host_alone_unless_that_is_written_out() {
    assert_eq!(refused("metrics.listen = '0.0.0.0:9100'").len(), 1);
    assert!(Config::from_toml("metrics.listen = '0.0.0.0:9100'\nmetrics.allow_remote = true").is_ok());
    assert!(Config::from_toml("metrics.listen = '127.0.0.1:9100'").is_ok());
    assert_eq!(Config::from_toml("").expect("valid").metrics_listen, None);
}

#[test]
fn a_relay_needs_a_sender_and_the_public_url() {
    let violations = refused("mail.transport = 'smtp'");
    for key in ["mail.from (not set)", "mail.smtp.host (not set)", "web.public_url (not set)"] {
        assert!(violations.iter().any(|violation| violation.starts_with(key)), "{key} in {violations:?}");
    }
    assert_eq!(violations.len(), 3);
}

const RELAY: &str = "
    web.public_url = 'https://users.acme.example/inside/'
    mail = { transport = 'smtp', from = 'noreply@acme.example', smtp.host = 'relay' }
";

fn with_relay(more: &str) -> Result<Config, ConfigError> {
    Config::from_toml(&RELAY.replace("smtp.host = 'relay'", &format!("smtp.host = 'relay', {more}")))
}

#[test]
fn a_relay_gets_starttls_and_the_port_that_goes_with_the_security() {
    for (more, security, port) in [
        ("", SmtpSecurity::StartTls, 587),
        ("smtp.security = 'implicit-tls'", SmtpSecurity::ImplicitTls, 465),
        ("smtp.security = 'plaintext'", SmtpSecurity::Plaintext, 25),
        ("smtp.port = 2525", SmtpSecurity::StartTls, 2525),
    ] {
        let config = with_relay(more).expect("valid");
        let MailTransport::Smtp(smtp) = config.mail.transport else { panic!("a relay") };
        assert_eq!((smtp.security, smtp.port), (security, port));
        assert_eq!(config.web.public_url, "https://users.acme.example/inside");
    }
}

#[test]
fn a_password_needs_a_user_and_protection() {
    assert!(with_relay("smtp.username = 'u', smtp.password = 'p'").is_ok());
    for more in [
        "smtp.username = 'u'",
        "smtp.password = 'p'",
        "smtp.username = 'u', smtp.password = 'p', smtp.security = 'plaintext'",
        "smtp.username = 'u', smtp.password_file = '/nowhere/at/all'",
        "smtp.username = 'u', smtp.password = 'p', smtp.password_file = '/dev/null'",
    ] {
        assert_eq!(with_relay(more).err().expect("refused").0.len(), 1, "{more}");
    }
}

#[test]
fn settings_of_the_other_transport_are_refused() {
    let violations = refused("mail.smtp.host = 'relay'");
    assert_eq!(violations, ["mail.smtp.host (the text): has no effect unless mail.transport = \"smtp\""]);
}

#[test]
fn sendmail_is_a_real_transport_too_and_takes_an_absolute_path() {
    let violations = refused("mail = { transport = 'sendmail', sendmail.command = 'sendmail', smtp.host = 'relay' }");
    for part in [
        "mail.from (not set): is needed when mail is sent",
        "mail.sendmail.command (the text): must be an absolute path",
        "mail.smtp.host (the text): has no effect unless mail.transport = \"smtp\"",
        "web.public_url (not set): is needed as soon as mail is sent",
    ] {
        assert!(violations.iter().any(|violation| violation.starts_with(part)), "{part} in {violations:#?}");
    }
    assert_eq!(violations.len(), 4);
    let text =
        "web.public_url = 'https://h'\nmail = { transport = 'sendmail', from = 'a@acme.example', sendmail.arguments = ['-v'] }";
    let config = Config::from_toml(text).expect("valid");
    let MailTransport::Sendmail(sendmail) = config.mail.transport else { panic!("a program") };
    assert_eq!((sendmail.command, sendmail.arguments), (PathBuf::from("/usr/sbin/sendmail"), vec!["-v".to_owned()]));
}

#[test]
fn what_mails_say_differently_is_looked_at_with_the_rest() {
    let violations = refused("mail = { reply_to = 'nobody', language = 'Deutsch', templates = '', concurrent = 0 }");
    let keys: Vec<&str> = violations.iter().filter_map(|violation| violation.split(' ').next()).collect();
    assert_eq!(keys, ["mail.concurrent", "mail.language", "mail.reply_to", "mail.templates"], "{violations:#?}");
    let config = Config::from_toml("mail = { reply_to = 'Help <help@acme.example>', language = 'de-AT' }").expect("valid");
    assert_eq!(config.mail.language.map(|language| language.to_string()), Some("de-AT".to_owned()));
    assert_eq!(config.mail.concurrent, 4);
}

#[test]
fn the_explanation_is_a_configuration_without_secrets() {
    let environment = [
        ("USER_MANAGEMENT_MAIL__TRANSPORT", "smtp"),
        ("USER_MANAGEMENT_MAIL__FROM", "noreply@acme.example"),
        ("USER_MANAGEMENT_MAIL__SMTP__HOST", "relay"),
        ("USER_MANAGEMENT_MAIL__SMTP__USERNAME", "u"),
        ("USER_MANAGEMENT_MAIL__SMTP__PASSWORD", "hunter2"),
        ("USER_MANAGEMENT_WEB__PUBLIC_URL", "http://h"),
        ("USER_MANAGEMENT_LIMITS__CONNECTIONS", "7"),
    ];
    let (_, text) = Config::explain(&Flags::default(), environment).expect("valid");
    assert!(!text.contains("hunter2"));
    assert!(text.contains("limits.connections = 7  # environment variable USER_MANAGEMENT_LIMITS__CONNECTIONS\n"), "{text}");
    assert!(text.contains("grpc.listen = [\"127.0.0.1:7001\"]  # default\n"), "{text}");
    assert_eq!(Config::from_toml(&text).expect("reads back").limits.connections, 7);
}

#[test]
fn what_is_told_is_read_back_as_the_same_values_whoever_said_them_and_whatever_stands_in_them() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("two\nlines.toml");
    std::fs::write(&file, "link_key_file = \"tab\\tquote\\\"backslash\\\\line\\nend\\u007f\"").unwrap();
    let flags = Flags { config: Some(file), ..Flags::default() };
    let environment = [
        ("USER_MANAGEMENT_GRPC__ALLOW_PLAINTEXT", "true"),
        ("USER_MANAGEMENT_METRICS__ALLOW_REMOTE", "false"),
        ("USER_MANAGEMENT_GRPC__OPERATOR_UIDS", "1000, 1001"),
        ("USER_MANAGEMENT_DATA_DIR", "two\nlines"),
    ];
    let (config, told) = Config::explain(&flags, environment).expect("valid");
    assert!(told.lines().all(|line| line.starts_with('#') || line.contains("  # ")), "a value on more than one line: {told}");
    let again = Config::from_toml(&told).unwrap_or_else(|error| panic!("{error} in {told}"));
    assert_eq!(again.link_key_file, config.link_key_file);
    assert_eq!(again.data_dir, PathBuf::from("two\nlines"));
    assert_eq!((again.grpc.allow_plaintext, again.grpc.operator_uids), (true, vec![1000, 1001]));
}

#[test]
fn a_key_has_one_spelling() {
    for name in ["USER_MANAGEMENT_edition", "USER_MANAGEMENT_GRPC.SOCKET"] {
        let error = Config::load(&Flags::default(), [(name, "inside")]).err().expect("refused");
        assert_eq!(error.0, [format!("environment variable {name}: unknown key")]);
    }
    assert_eq!(refused("'grpc.socket' = 's'\n[grpc]\nsocket = 't'"), ["\"grpc.socket\" (the text): unknown key"]);
}

#[test]
fn a_file_for_a_password_is_one_short_line() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("password");
    let with = |text: &str| {
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        with_relay(&format!("smtp.username = 'u', smtp.password_file = '{}'", file.display()))
    };
    for good in ["hunter2", "hunter2\n", "hunter2\r\n", "two words"] {
        assert!(with(good).is_ok(), "{good:?}");
    }
    for wrong in ["", "\n", "hunter2\nhunter3\n", "hunter2\0", &"x".repeat(5000)] {
        let violations = with(wrong).err().expect("refused").0;
        assert!(violations.len() == 1 && !violations[0].contains("hunter2"), "{violations:?}");
    }
    assert!(with_relay("smtp.username = 'u', smtp.password_file = '/dev/zero'").is_err(), "which has no end");
}

#[test]
fn a_file_for_a_password_is_for_its_owner_and_perhaps_a_group() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("password");
    std::fs::write(&file, "hunter2").unwrap();
    for (mode, is_taken) in [(0o600, true), (0o640, true), (0o440, true), (0o644, false), (0o602, false), (0o660, false)] {
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        let taken = with_relay(&format!("smtp.username = 'u', smtp.password_file = '{}'", file.display()));
        let violations = taken.err().map_or(Vec::new(), |error| error.0);
        let said = format!(
            "mail.smtp.password_file (the text): {} can be read by everybody or written by its group; \
             make it 0600, or 0640 for a group that may read it",
            file.display()
        );
        assert_eq!(violations, if is_taken { Vec::new() } else { vec![said] }, "{mode:o}");
    }
}

#[test]
fn a_file_for_a_password_that_is_anothers_is_taken_by_nobody_who_starts_the_service() {
    if !rustix::process::geteuid().is_root() {
        return skipped::skipped("for want of root: a password file of another user");
    }
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("password");
    std::fs::write(&file, "hunter2").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::os::unix::fs::chown(&file, Some(65_534), None).unwrap();
    let data = directory.path().join("data");
    let flags = Flags { data_dir: Some(data.clone()), ..Flags::default() };
    let variables = [
        ("USER_MANAGEMENT_MAIL__FROM", "no-reply@site.test".to_owned()),
        ("USER_MANAGEMENT_MAIL__TRANSPORT", "smtp".to_owned()),
        ("USER_MANAGEMENT_MAIL__SMTP__HOST", "relay.test".to_owned()),
        ("USER_MANAGEMENT_MAIL__SMTP__USERNAME", "u".to_owned()),
        ("USER_MANAGEMENT_MAIL__SMTP__PASSWORD_FILE", file.display().to_string()),
        ("USER_MANAGEMENT_WEB__PUBLIC_URL", "https://site.test".to_owned()),
    ];
    let refused =
        |taken: Result<(), ConfigError>| taken.err().is_some_and(|error| error.to_string().contains("belongs to uid 65534"));
    let loads = || Config::load(&flags, variables.clone()).map(drop);
    let looks = || Config::explain(&flags, variables.clone()).map(drop);
    // before there is data, root can't say whose it will be unless it starts the service
    assert!(refused(loads()));
    looks().expect("it may be theirs");
    std::fs::create_dir(&data).unwrap();
    assert!(refused(loads()) && refused(looks()));
    std::os::unix::fs::chown(&data, Some(65_534), None).unwrap();
    loads().and_then(|()| looks()).expect("it is theirs");
}

#[test]
fn what_keeps_strangers_from_locking_people_out_can_not_be_switched_off() {
    for key in ["known_device_days", "sign_ups_per_address"] {
        assert_eq!(refused(&format!("limits.{key} = 0")).len(), 1, "{key}");
        assert!(Config::from_toml(&format!("limits.{key} = 1")).is_ok(), "{key}");
    }
    let others = "sign_in_failures_per_address = 0, sign_in_failures_per_peer = 0, sign_in_failures_per_device = 0, sign_ups = 0";
    assert!(Config::from_toml(&format!("limits = {{ {others} }}")).is_ok());
}
