//! Programs that one chapter asks for by a lock of its own, laid over the root of all.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use lab::build::cache::Cache;
use lab::build::tools::{self, Lock};

use crate::fixture::repository;
use crate::package::Files;
use crate::root::{Made, real, sound, whole};

/// The root with what the names ask for, where the first root is ready.
fn further(made: &Made, names: &[&str]) -> Result<Option<PathBuf>, String> {
    let root = made.ready("").unwrap();
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let (cache, mirror) = (Cache::at(made.cache()), made.mirror());
    let mirror = mirror.to_str();
    let made = tools::with_further(&cache, made.repository(), mirror, &root, &names);
    let found = made.map_err(|error| format!("{error:#}"))?;
    Ok(found.map(|(root, _)| root))
}

/// Writes `patches/more.lock` with these lines.
fn lock(made: &Made, lines: &str) {
    let folder = made.repository().join("patches");
    fs::create_dir_all(&folder).unwrap();
    let text = format!("# More.\nsnapshot 20260101T000000Z\n{lines}");
    fs::write(folder.join("more.lock"), text).unwrap();
}

/// What is in the cache of the roots that chapters ask for, but for locks.
fn kept(made: &Made) -> Vec<PathBuf> {
    let all = fs::read_dir(made.cache().join("further-tools"));
    let all = all.into_iter().flatten().map(|entry| entry.unwrap().path());
    let is_lock = |path: &PathBuf| path.extension().is_some_and(|end| end == "lock");
    let folders = all.filter(|path| !is_lock(path));
    folders
        .filter(|path| fs::read_dir(path).unwrap().next().is_some())
        .collect()
}

#[test]
fn a_chapter_that_does_not_ask_for_more_fetches_nothing_of_it() {
    let made = Made::whole();
    // It is in the folder no more than at the public mirrors.
    lock(&made, "absent 1 1 00 pool/absent_1_all.deb\n");
    assert_eq!(further(&made, &[]), Ok(None));
    assert_eq!(further(&made, &["other", "patches"]), Ok(None));
    assert_eq!(kept(&made), Vec::<PathBuf>::new());
}

#[test]
fn further_programs_lie_over_the_first_root_and_leave_it_as_it_was() {
    let made = Made::whole();
    let files = Files::new()
        .file("./usr/bin/more", "more")
        .file("./usr/share/more/helper", "")
        .file("./usr/share/doc/more", "");
    let line = made.line("more", &files.deb());
    lock(&made, &format!("skip usr/share/more\n{line}"));
    let root = made.ready("").unwrap();
    let larger = further(&made, &["other", "more"]).unwrap().unwrap();
    assert_eq!(fs::read(larger.join("usr/bin/more")).unwrap(), b"more");
    assert!(!larger.join("usr/share/more").exists());
    assert!(!root.join("usr/bin/more").exists());
    // The others are the same files.
    let number = |root: &Path| fs::metadata(root.join("usr/bin/gdb")).unwrap().ino();
    assert_eq!(number(&root), number(&larger));
    assert_eq!(
        fs::read_link(larger.join("bin")).unwrap(),
        Path::new("usr/bin")
    );
    // Without a provider.
    fs::remove_dir_all(made.mirror()).unwrap();
    assert_eq!(further(&made, &["more"]), Ok(Some(larger)));
}

#[test]
fn a_further_package_that_is_refused_is_named_and_nothing_of_it_is_kept() {
    let made = Made::whole();
    let root = made.ready("").unwrap();
    let refused = |line: &str, words: &[&str]| {
        lock(&made, line);
        let error = further(&made, &["more"]).unwrap_err();
        for word in words {
            assert!(error.contains(word), "no {word:?} in {error}");
        }
        assert_eq!(kept(&made), Vec::<PathBuf>::new());
        assert_eq!(fs::read(root.join("usr/bin/gdb")).unwrap(), b"program");
    };
    let good = Files::new().file("./usr/bin/more", "more").deb();
    let line = made.line("more", &good);
    fs::write(made.mirror().join("pool/more_1_all.deb"), "damaged").unwrap();
    refused(
        &line.replace("pool/", "pool/./"),
        &["more_1_all.deb could not be had", "is not the pinned file"],
    );
    // What is there already is not written through its hard link.
    let evil = Files::new().file("./usr/bin/gdb", "another").deb();
    let line = made.line("evil", &evil);
    refused(&line, &["evil_1_all.deb cannot be unpacked", "comes twice"]);
    refused("more 1\n", &["more.lock", "`more 1`"]);
}

#[test]
fn the_further_lock_of_this_repository_is_sound_and_its_programs_have_all_they_need() {
    let base = Lock::read(&repository()).unwrap();
    let lock = Lock::further(&repository(), "systemtap").unwrap().unwrap();
    sound(&lock);
    assert!(lock.bytes() <= 6_000_000, "{} to fetch", lock.bytes());
    for package in &lock.packages {
        let is_twice = base.packages.iter().any(|base| base.name == package.name);
        assert!(!is_twice, "{package:?}");
    }
    let names = ["systemtap".to_owned()];
    let cache = Cache::of_user().unwrap();
    let further = tools::with_further(&cache, &repository(), None, &real(), &names);
    let (root, _) = further.unwrap().unwrap();
    whole(&root);
    for program in [
        "usr/bin/stap",
        "usr/bin/staprun",
        "usr/lib/systemtap/stapio",
    ] {
        assert!(root.join(program).is_file(), "{program}");
    }
}
