//! The file of the relay's password.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;

use secrecy::ExposeSecret as _;
use user_management::config::Config;
use user_management::config::mail::MailTransport;

pub(super) fn holds(bytes: &[u8]) -> bool {
    let directory = super::directory();
    let path = directory.join("password");
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path);
    file.and_then(|mut file| file.write_all(bytes)).expect("written");
    let relay = format!(
        "transport = 'smtp', from = 'a@b.example', smtp = {{ host = 'relay', username = 'u', password_file = '{}' }}",
        path.display()
    );
    match Config::from_toml(&format!("web.public_url = 'https://h'\nmail = {{ {relay} }}")) {
        Ok(config) => {
            let MailTransport::Smtp(relay) = config.mail.transport else { panic!("a relay") };
            let (_, password) = relay.credentials.expect("a password");
            let password = password.expose_secret();
            let text = std::str::from_utf8(bytes).expect("a password is a text");
            assert!(!password.is_empty() && !password.contains(char::is_control) && password.len() <= 4096);
            assert!(
                text.strip_prefix(password).is_some_and(|rest| rest.bytes().all(|byte| b"\r\n".contains(&byte))),
                "the whole line"
            );
            true
        }
        Err(error) => {
            let [violation] = &error.0[..] else { panic!("one thing is wrong: {error}") };
            assert!(violation.starts_with("mail.smtp.password_file (the text): ") && !violation.contains(char::is_control));
            let said = String::from_utf8_lossy(bytes);
            assert!(!said.split(char::is_whitespace).any(|word| word.len() > 12 && violation.contains(word)), "{violation}");
            false
        }
    }
}
