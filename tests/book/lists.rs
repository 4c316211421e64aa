//! Lists of the chapters that are kept by hand: each has all of them.

use std::path::Path;

use book::chapter;

#[test]
fn each_list_has_every_chapter() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let read = |file: &str| std::fs::read_to_string(root.join(file)).unwrap();
    let [summary, map] = ["chapters/SUMMARY.md", "chapters/map.md"].map(read);
    let readme = read("README.md");
    let mut numbers = Vec::new();
    for path in chapter::paths(root).unwrap() {
        let (number, _) = chapter::name_of(&path).unwrap();
        let file = path.file_name().unwrap().to_str().unwrap();
        assert!(summary.contains(&format!("({file})")), "SUMMARY.md: {file}");
        assert!(map.contains(&format!("({file})")), "map.md: {file}");
        let title = read(path.to_str().unwrap());
        let title = title.lines().next().unwrap().trim_start_matches("# ");
        let listed = readme.lines().find_map(|line| {
            let title = line.strip_prefix(&format!("{number}. "))?;
            Some(title.replace('`', ""))
        });
        assert_eq!(
            listed.as_deref(),
            Some(&*title.replace('`', "")),
            "README.md"
        );
        numbers.push(number.to_string());
    }
    let matrix = format!("chapter: [{}]\n", numbers.join(", "));
    assert!(
        read(".github/workflows/nightly.yml").contains(&matrix),
        "{matrix}"
    );
}
