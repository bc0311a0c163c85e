//! What stands between the program and the system.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Compiles it.
pub(crate) fn compiled() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("shim.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/faults/shim.c");
    let done = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&target).args([source, "-ldl"]).status();
    assert!(done.is_ok_and(|status| status.success()), "building this crate takes a C compiler, and so does this test");
    target
}
