//! The threat model and the README's promises name tests that are there: `suite refusals` for `cargo test --test suite refusals`.

use std::fs;
use std::path::{Path, PathBuf};

/// The binaries whose tests are told apart by a name; `lib` is the tests beside the code.
const BINARIES: [&str; 8] = ["faults", "fuzz", "lib", "mail", "outsiders", "rules", "server", "suite"];

#[test]
fn every_test_that_the_threat_model_and_the_readme_name_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut named = Vec::new();
    for page in ["src/threats.rs", "README.md"] {
        let text = fs::read_to_string(root.join(page)).expect(page);
        named.extend(names(&text).map(|(binary, part)| (page, binary.to_owned(), part.to_owned())));
    }
    assert!(named.len() > 30, "the pages name few tests: {named:?}");
    for (page, binary, part) in named {
        let tests = tests(root, &binary);
        assert!(tests.iter().any(|test| test.contains(&part)), "{page} names `{binary} {part}`, which is none of {tests:#?}");
    }
}

/// What tables name: the inline code in their rows that begins with a binary, and commands of cargo.
fn names(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let rows = text.lines().map(|line| line.trim_start_matches("//! ")).filter(|line| line.starts_with('|'));
    let codes = rows.flat_map(|row| row.split('`').skip(1).step_by(2));
    codes.filter_map(|code| {
        let code = code.strip_prefix("cargo test --test ").or_else(|| code.strip_prefix("cargo test --")).unwrap_or(code);
        let (binary, part) = code.split_once(' ').unwrap_or((code, ""));
        BINARIES.contains(&binary).then(|| (binary, part.trim_start_matches("-- ")))
    })
}

/// The full names of a binary's tests; of one that runs its scenes itself, whatever it names in quotes.
fn tests(root: &Path, binary: &str) -> Vec<String> {
    let place = if binary == "lib" { root.join("src") } else { root.join("tests").join(binary) };
    let single = place.with_extension("rs");
    let files = if place.is_dir() { sources(&place) } else { vec![single] };
    let mut found = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("a source");
        let inside = file.strip_prefix(&place).unwrap_or(Path::new("")).with_extension("");
        let module = inside.to_string_lossy().replace('/', "::");
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            let attribute = line.trim();
            if attribute == "#[test]" || attribute.starts_with("#[tokio::test") {
                let function = lines.find_map(|line| line.split_once("fn ")).map_or("", |(_, rest)| rest);
                let name = function.split(['(', '<']).next().unwrap_or_default();
                found.push(if module == "main" { name.to_owned() } else { format!("{module}::{name}") });
            } else if ["faults", "fuzz"].contains(&binary) {
                found.extend(line.split('"').skip(1).step_by(2).map(str::to_owned));
            }
        }
    }
    found
}

fn sources(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("a directory of sources").map(|entry| entry.expect("an entry").path());
    let (directories, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let below = directories.iter().flat_map(|directory| sources(directory));
    files.into_iter().filter(|file| file.extension().is_some_and(|extension| extension == "rs")).chain(below).collect()
}
