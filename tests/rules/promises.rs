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
        named.extend(names(&text).into_iter().map(|(kind, binary, part)| (page, kind, binary, part)));
    }
    assert!(named.len() > 30, "the pages name few tests: {named:?}");
    for (page, kind, binary, part) in named {
        if kind == "--bench" {
            let bench = root.join("benches").join(&binary);
            assert!(bench.is_dir() || bench.with_extension("rs").is_file(), "{page} names a bench that isn't there: {binary}");
            continue;
        }
        assert!(BINARIES.contains(&binary.as_str()), "{page} names tests that aren't there: {binary}");
        let tests = tests(root, &binary);
        assert!(tests.iter().any(|test| test.contains(&part)), "{page} names `{binary} {part}`, which is none of {tests:#?}");
    }
}

/// What tables name, `--test` or `--bench` with each binary and each part of names of its tests: the inline code in their rows that begins with a binary, or that is a
/// command of cargo, with what it sets in its environment.
fn names(text: &str) -> Vec<(String, String, String)> {
    let rows = text.lines().map(|line| line.trim_start_matches("//! ")).filter(|line| line.starts_with('|'));
    let codes = rows.flat_map(|row| row.split('`').skip(1).step_by(2));
    let mut named = Vec::new();
    for code in codes {
        let code = code.replace("--lib", "--test lib");
        let mut words: Vec<_> = code.split_whitespace().skip_while(|word| word.contains('=')).collect();
        if words.first() == Some(&"cargo") {
            let place = words.iter().position(|word| ["--test", "--bench"].contains(word));
            words.drain(..place.unwrap_or_else(|| panic!("`{code}` names neither tests nor a bench")));
        } else if words.first().is_some_and(|first| BINARIES.contains(first)) {
            words.insert(0, "--test");
        } else {
            continue;
        }
        let [kind, binary, parts @ ..] = &words[..] else { panic!("`{code}` names nothing") };
        let parts: Vec<_> = parts.iter().filter(|part| !part.starts_with("--")).collect();
        if parts.is_empty() {
            named.push((kind.to_string(), binary.to_string(), String::new()));
        }
        named.extend(parts.iter().map(|part| (kind.to_string(), binary.to_string(), part.to_string())));
    }
    named
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
