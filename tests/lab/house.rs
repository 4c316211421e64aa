//! The house keeps its order: a folder uses only those before it, and comments are short enough to
//! read side by side. Between the packages Cargo sees to it.

use std::fs;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

/// The folders of each package, in the order in which they build on each other.
const FOLDERS: [(&str, &[&str]); 2] = [
    (
        "runner/lab/src",
        &[
            "error",
            "system",
            "transcript",
            "build",
            "machine",
            "program",
            "packet",
            "replay",
        ],
    ),
    (
        "runner/book/src",
        &[
            "fault", "html", "pattern", "chapter", "exercise", "snapshot", "symbols", "prose",
            "drawing", "page", "renumber",
        ],
    ),
];

const COLUMNS: usize = 100;

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The files of a folder whose names end so, and their texts.
fn sources(folder: &str, ending: &str) -> Vec<(PathBuf, String)> {
    let entries = WalkDir::new(repository().join(folder)).sort_by_file_name();
    let paths = entries
        .into_iter()
        .map(|entry| entry.unwrap().into_path())
        .filter(|path| path.extension().is_some_and(|end| end == ending))
        .filter(|path| !path.components().any(|part| part.as_os_str() == "target"));
    let found: Vec<_> = paths
        .map(|path| (path.clone(), fs::read_to_string(path).unwrap()))
        .collect();
    assert!(
        !found.is_empty(),
        "{folder} holds nothing that ends with {ending}"
    );
    found
}

#[test]
fn a_folder_uses_only_those_before_it() {
    let mut wrong = Vec::new();
    for (package, order) in FOLDERS {
        let root = repository().join(package);
        for (path, text) in sources(package, "rs") {
            let inside = path.strip_prefix(&root).unwrap();
            let top = Path::new(inside.iter().next().unwrap())
                .file_stem()
                .unwrap();
            let place = order.iter().position(|folder| *folder == top);
            let later = match place {
                Some(place) => &order[place + 1..],
                None if inside == Path::new("lib.rs") => continue,
                None => panic!("{}: give {top:?} its place in the order", path.display()),
            };
            let lines = text.lines().zip(1..);
            // A test may use what it likes.
            for (line, number) in lines.take_while(|(line, _)| *line != "#[cfg(test)]") {
                let used = later.iter().find(|folder| uses(line, folder));
                wrong.extend(used.map(|folder| format!("{}:{number}: {folder}", path.display())));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

/// Whether a line names the folder by its path from the top of the package.
fn uses(line: &str, folder: &str) -> bool {
    let (_, behind) = match line.split_once("crate::") {
        Some(parts) => parts,
        None => return false,
    };
    let rest = behind.strip_prefix(folder);
    rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
}

#[test]
fn comments_are_at_most_100_columns() {
    let mut long = Vec::new();
    for (ending, mark) in [("rs", "//"), ("sh", "#"), ("py", "#")] {
        for (path, text) in ["runner", "tests"]
            .map(|folder| sources(folder, ending))
            .concat()
        {
            let lines = text.lines().zip(1..);
            // rustfmt sees to the code, and leaves a string that somebody will see in one piece.
            let lines = lines.filter(|(line, _)| line.trim_start().starts_with(mark));
            let lines = lines.filter(|(line, _)| line.chars().count() > COLUMNS);
            long.extend(lines.map(|(_, number)| format!("{}:{number}", path.display())));
        }
    }
    assert_eq!(long, Vec::<String>::new());
}
