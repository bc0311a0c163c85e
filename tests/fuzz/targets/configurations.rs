//! The configuration: a file, and behind a line `---` the environment.

use std::fmt::Write as _;
use std::path::PathBuf;

use user_management::config::{Config, ConfigError, Flags};

/// The only secret that there is; where it stands in a place for secrets alone, it is told nowhere.
const SECRET: &str = "hunter2";

pub(super) fn holds(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let (file, environment) = text.split_once("\n---\n").unwrap_or((&text, ""));
    let variables: Vec<(String, String)> = environment.split('\n').filter_map(variable).collect();
    let secretly = is_secret_alone(file, &variables);
    let directory = super::directory();
    let outcome = read(file, &variables, directory.join("first.toml"));
    let backwards = read(file, &variables.iter().rev().cloned().collect::<Vec<_>>(), directory.join("first.toml"));
    if variables.iter().all(|(name, _)| variables.iter().filter(|(other, _)| other == name).count() == 1) {
        assert_eq!(
            outcome.as_ref().map(|(_, told)| told),
            backwards.as_ref().map(|(_, told)| told),
            "whatever the order of variables"
        );
    }
    match outcome {
        Err(ConfigError(violations)) => {
            assert!(!violations.is_empty());
            for violation in violations {
                assert!(!violation.contains(char::is_control) && !violation.is_empty(), "{violation:?} is one line");
                assert!(!secretly || !violation.contains(SECRET), "{violation}");
            }
            false
        }
        Ok((config, told)) => {
            assert!(!secretly || !told.contains(SECRET), "{told}");
            let (again, told_again) =
                read(&told, &[], directory.join("second.toml")).unwrap_or_else(|error| panic!("{error} in {told}"));
            assert_eq!(values(&told), values(&told_again));
            assert_eq!((config.data_dir, config.grpc, config.edition), (again.data_dir, again.grpc, again.edition));
            assert_eq!((config.limits, config.abuse, config.web), (again.limits, again.abuse, again.web));
            true
        }
    }
}

fn read(file: &str, variables: &[(String, String)], path: PathBuf) -> Result<(Config, String), ConfigError> {
    std::fs::write(&path, file).expect("written");
    let flags = Flags { config: Some(path), ..Flags::default() };
    Config::explain(&flags, variables.iter().map(|(name, value)| (name.clone(), value.clone())))
}

/// No other file is read: what stands there is the host's.
fn variable(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once('=')?;
    let known = name != "USER_MANAGEMENT_CONFIG" && !name.contains('\0') && !value.contains('\0');
    known.then(|| (name.to_owned(), value.to_owned()))
}

/// Every line without what stands behind its value.
fn values(told: &str) -> String {
    told.lines().fold(String::new(), |mut values, line| {
        let _ = writeln!(values, "{}", line.rsplit_once("  # ").map_or(line, |(value, _)| value));
        values
    })
}

/// Whether the secret stands where only a secret stands.
fn is_secret_alone(file: &str, variables: &[(String, String)]) -> bool {
    let mut table: toml::Table = file.parse().unwrap_or_default();
    let place = table.get_mut("mail").and_then(|mail| mail.get_mut("smtp")).and_then(toml::Value::as_table_mut);
    let password = place.and_then(|smtp| smtp.remove("password"));
    let elsewhere = |(name, value): &(String, String)| {
        name.contains(SECRET) || name != "USER_MANAGEMENT_MAIL__SMTP__PASSWORD" && value.contains(SECRET)
    };
    let parsed = file.parse::<toml::Table>().is_ok();
    parsed
        && password.as_ref().is_none_or(toml::Value::is_str)
        && !toml::to_string(&table).unwrap_or_default().contains(SECRET)
        && !variables.iter().any(elsewhere)
}
