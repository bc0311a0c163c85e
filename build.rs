//! Makes what the crate compiles against: Rust code and descriptors from `proto/`, and an empty database from
//! `src/store/migrations/` that sqlx checks every query against. Needs neither protoc nor a running database.

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

/// Fields whose value nobody may read where a message is printed.
const SECRETS: [&str; 5] = ["password", "new_password", "token", "session_token", "url"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=proto");
    println!("cargo::rerun-if-changed=src/store/migrations");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    compile_contract(&out)?;
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(create_schema(&out))
}

fn compile_contract(out: &Path) -> Result<(), Box<dyn Error>> {
    let mut files = fs::read_dir("proto/circonus/usermanagement/v1")?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>, std::io::Error>>()?;
    files.sort();
    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_source_info(true).include_imports(true).open_files(files)?;
    fs::write(out.join("descriptors.bin"), compiler.encode_file_descriptor_set())?;
    let descriptors = compiler.file_descriptor_set();
    let (mut secret, mut redacted) = (Vec::new(), String::new());
    for file in descriptors.file.iter().filter(|file| file.package() == "circonus.usermanagement.v1") {
        for message in
            file.message_type.iter().filter(|message| message.field.iter().any(|field| SECRETS.contains(&field.name())))
        {
            let name = message.name();
            secret.push(format!(".{}.{name}", file.package()));
            writeln!(
                redacted,
                "impl std::fmt::Debug for {name} {{
                    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {{
                        f.debug_struct({name:?}).finish_non_exhaustive()
                    }}
                }}"
            )?;
        }
    }
    fs::write(out.join("redacted.rs"), redacted)?;
    tonic_prost_build::configure().skip_debug(secret).compile_fds(descriptors)?;
    Ok(())
}

async fn create_schema(out: &Path) -> Result<(), Box<dyn Error>> {
    let file = out.join("schema.db");
    if file.exists() {
        fs::remove_file(&file)?;
    }
    let options = SqliteConnectOptions::new().filename(&file).create_if_missing(true);
    let mut connection = SqliteConnection::connect_with(&options).await?;
    sqlx::migrate::Migrator::new(Path::new("src/store/migrations")).await?.run(&mut connection).await?;
    connection.close().await?;
    println!("cargo::rustc-env=DATABASE_URL=sqlite://{}", file.display());
    println!("cargo::rustc-env=SQLX_OFFLINE=false");
    let queries = out.join("queries");
    fs::create_dir_all(&queries)?;
    println!("cargo::rustc-env=SQLX_OFFLINE_DIR={}", queries.display());
    println!("cargo::rustc-env=QUERIES_DIR={}", queries.display());
    Ok(())
}
