//! Where settings come from: a TOML file, the environment, flags.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::access::ListenAddress;
use super::settings::{Raw, Settings};
use crate::domain::edition::Edition;
use crate::ownership;

/// What the name of every variable begins with; behind it stands the key in capitals, with `__` between the levels.
pub const PREFIX: &str = "USER_MANAGEMENT_";

/// The one variable that is no key: where the file is, for want of `--config`.
const FILE_VARIABLE: &str = "USER_MANAGEMENT_CONFIG";

/// What the command line says.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Settings")]
pub struct Flags {
    /// The configuration file (TOML); without one, defaults, environment and flags count
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// The edition to switch to: inside or saas
    #[arg(long, global = true)]
    pub edition: Option<Edition>,
    /// Where the database, sockets and keys live
    #[arg(long, value_name = "DIR", global = true)]
    pub data_dir: Option<PathBuf>,
    /// The operators' socket: where to serve it, or the one running server that a command is for
    #[arg(long, value_name = "PATH", global = true)]
    pub socket: Option<PathBuf>,
    /// An address to listen on; may be given several times
    #[arg(long, value_name = "ADDR", global = true, value_parser = ListenAddress::of)]
    pub listen: Vec<SocketAddr>,
}

/// Puts the three together, the stronger over the weaker.
pub(super) fn gather(flags: &Flags, environment: impl Iterator<Item = (OsString, OsString)>) -> Settings {
    let mut settings = Settings::default();
    let mut file = flags.config.clone();
    let mut variables = Vec::new();
    for (name, value) in environment {
        let Some((name, key)) = name.to_str().and_then(|name| Some((name, name.strip_prefix(PREFIX)?))) else { continue };
        let capital = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
        if !key.bytes().all(capital) {
            // or one key would have many spellings, and which of them counts would hang on the order of the environment
            settings.fault(format!("environment variable {name}: unknown key"));
            continue;
        }
        match value.into_string() {
            Ok(value) if name == FILE_VARIABLE => file = file.or_else(|| Some(PathBuf::from(value))),
            Ok(value) => variables.push((key.replace("__", ".").to_lowercase(), value, format!("environment variable {name}"))),
            Err(_) => settings.fault(format!("environment variable {name}: must be UTF-8")),
        }
    }
    if let Some(file) = &file {
        add_file(&mut settings, file);
    }
    for (key, value, origin) in variables {
        settings.set(key, Raw::Text(value), origin);
    }
    add_flags(&mut settings, flags);
    settings
}

fn add_flags(settings: &mut Settings, flags: &Flags) {
    if let Some(edition) = flags.edition {
        settings.set("edition".to_owned(), Raw::Text(edition.as_str().to_owned()), "flag --edition".to_owned());
    }
    for (key, flag, path) in [("data_dir", "--data-dir", &flags.data_dir), ("grpc.socket", "--socket", &flags.socket)] {
        match path.as_ref().map(|path| path.to_str()) {
            Some(Some(text)) => settings.set(key.to_owned(), Raw::Text(text.to_owned()), format!("flag {flag}")),
            Some(None) => settings.fault(format!("{key} (flag {flag}): must be UTF-8")),
            None => {}
        }
    }
    if !flags.listen.is_empty() {
        let addresses = flags.listen.iter().map(|address| toml::Value::String(address.to_string())).collect();
        settings.set("grpc.listen".to_owned(), Raw::Toml(toml::Value::Array(addresses)), "flag --listen".to_owned());
    }
}

/// Whoever writes the file says who is an operator: it has to be whoever runs the program, or root, whatever the data belongs to.
fn add_file(settings: &mut Settings, path: &Path) {
    const PASSWORD: &str = "mail.smtp.password";
    let origin = path.display().to_string();
    let mut text = String::new();
    let file = File::open(path).and_then(|mut file| file.read_to_string(&mut text).map(|_| file));
    let file = match file {
        Ok(file) => file,
        Err(error) => return settings.fault(format!("{origin}: can't be read: {error}")),
    };
    let owners = ownership::own_or_root();
    if let Err(flaw) = ownership::check_trusted(&file, &owners) {
        return settings.fault(format!("{origin}: {flaw}"));
    }
    add_toml(settings, &text, &origin);
    if settings.is_from(PASSWORD, &origin)
        && let Err(flaw) = ownership::check_secret(&file, &owners)
    {
        settings.fault(format!("{origin}: holds {PASSWORD} and {flaw}, or use mail.smtp.password_file"));
    }
}

/// Adds the keys of a TOML text; `origin` is how violations name it.
pub(super) fn add_toml(settings: &mut Settings, text: &str, origin: &str) {
    match text.parse::<toml::Table>() {
        Ok(table) => add_table(settings, "", table, origin),
        Err(error) => {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            let message = error.message().lines().collect::<Vec<_>>().join(", ");
            settings.fault(format!("{origin}, line {line}: {message}"));
        }
    }
}

fn add_table(settings: &mut Settings, prefix: &str, table: toml::Table, origin: &str) {
    for (name, value) in table {
        let key = format!("{prefix}{name}");
        if name.contains('.') {
            // in quotes a dot is part of the name, which no key has
            settings.fault(format!("{key:?} ({origin}): unknown key"));
            continue;
        }
        match value {
            toml::Value::Table(inner) => add_table(settings, &format!("{key}."), inner, origin),
            value => settings.set(key, Raw::Toml(value), origin.to_owned()),
        }
    }
}
