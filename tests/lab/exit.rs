//! What is wrong on the command line is told with 2, before anything is built or run.

use std::path::Path;

use duct::cmd;

fn code(folder: &Path, line: &[&str]) -> (i32, String) {
    let done = cmd(env!("CARGO_BIN_EXE_runner"), line)
        .dir(folder)
        .stdin_null()
        .stderr_to_stdout()
        .stdout_capture()
        .unchecked()
        .run()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    (done.status.code().expect("no signal"), said)
}

#[test]
fn a_wrong_command_line_is_2_and_says_what_is_wrong() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    for (line, part) in [
        ("sail", "unrecognized subcommand"),
        ("chapter", "required"),
        ("chapter 99", "there is no chapter `99`"),
        ("chapter 5 --to 5.9999", "there is no step 5.9999"),
        ("chapter 5 --from 6.1", "there is no step 6.1"),
        ("chapter 5 --kernel /nowhere", "--kernel /nowhere"),
        (
            "chapter 5 --kernel-source /nowhere",
            "/nowhere is not there",
        ),
        ("setup --kernel-source /proc", "neither a tarball nor"),
        ("record 99", "there is no chapter `99`"),
        ("renumber 99", "there is no chapter `99`"),
        ("run /nowhere", "there is no program /nowhere"),
        ("run --kernel /nowhere true", "/nowhere is no kernel"),
        ("run --with /nowhere true", "there is no /nowhere to pack"),
        ("shell 99", "there is no chapter `99`"),
        ("show 5.1 gdb", "snapshot has"),
        ("show 99.1 gdb", "no file for chapter 99"),
        ("verify 5 99", "there is no chapter `99`"),
        ("man sail", "sail"),
    ] {
        let words: Vec<_> = line.split(' ').collect();
        let (code, said) = code(repository, &words);
        assert!(code == 2 && said.contains(part), "{line}: {code}: {said}");
    }
}

#[test]
fn outside_the_book_is_2_too() {
    let folder = tempfile::tempdir().unwrap();
    for line in ["chapter 5", "setup", "renumber 5", "claims", "verify"] {
        let words: Vec<_> = line.split(' ').collect();
        let (code, said) = code(folder.path(), &words);
        let part = "is not inside the book";
        assert!(code == 2 && said.contains(part), "{line}: {code}: {said}");
    }
}
