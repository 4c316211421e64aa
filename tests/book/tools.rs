//! The tools of the book at their pinned versions, and the PATH on which a test finds them.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// The program under test.
pub const RUNNER: &str = env!("CARGO_BIN_EXE_runner");

/// PATH with the runner and the tools of the book in front.
pub fn path_with_tools() -> OsString {
    let runner = Path::new(RUNNER).parent().unwrap();
    path_with([runner, TOOLS.as_path()])
}

fn path_with<'a>(folders: impl IntoIterator<Item = &'a Path>) -> OsString {
    let path = std::env::var_os("PATH").unwrap();
    let folders = folders.into_iter().map(Path::to_owned);
    std::env::join_paths(folders.chain(std::env::split_paths(&path))).unwrap()
}

/// Built once below target/, so that no test touches the reader's own.
static TOOLS: LazyLock<PathBuf> = LazyLock::new(|| {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("tools");
    let bin = root.join("bin");
    let installed = duct::cmd!(RUNNER, "install-tools")
        .dir(env!("CARGO_MANIFEST_DIR"))
        .env("CARGO_INSTALL_ROOT", &root)
        .env("PATH", path_with([bin.as_path()]))
        .stdout_null()
        .run();
    installed.expect("build mdbook and mdbook-cmdrun for the tests");
    bin
});
