//! Debian's archive: from a folder, from mirrors that behave, and from such that do not.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use lab::build::fetch::Patience;
use lab::build::pool::{Pool, Pooled};
use lab::system::files::sha256_of;
use lab::system::progress::Stage;

use crate::server::{refuse, respond, serve};

const BODY: &[u8] = b"the bytes of a package";
const PATIENCE: Patience = Patience {
    answer: Duration::from_secs(2),
    silence: Duration::from_secs(1),
};

/// How a fetch has ended.
#[derive(Debug)]
struct Fetched {
    /// The names of what has arrived, in order.
    names: Vec<String>,
    error: String,
    told: Vec<String>,
}

impl Fetched {
    #[track_caller]
    fn has(&self, names: &[&str]) -> &Self {
        let mut have = self.names.clone();
        have.sort();
        assert_eq!(have, names, "{self:#?}");
        self
    }

    #[track_caller]
    fn tells(&self, count: usize, text: &str) -> &Self {
        let found = self.told.iter().filter(|line| line.contains(text));
        assert_eq!(found.count(), count, "{text:?} in {self:#?}");
        self
    }
}

fn path(name: &str) -> String {
    format!("pool/main/x/{name}")
}

/// Fetches files of these names, all with the body, from these providers.
#[track_caller]
fn fetch(providers: &[&str], names: &[&str]) -> Fetched {
    let folder = tempfile::tempdir().unwrap();
    let (paths, sha256): (Vec<_>, _) = (
        names.iter().map(|name| path(name)).collect(),
        sha256_of(BODY),
    );
    let file = |path| Pooled {
        path,
        size: BODY.len() as u64,
        sha256: &sha256,
    };
    let files: Vec<_> = paths.iter().map(|path| file(path)).collect();
    let (mut arrived, mut told) = (Vec::new(), Vec::new());
    let pool = Pool::of(providers.iter().map(|base| (*base).to_owned()));
    let result = pool.fetch(
        &files,
        folder.path(),
        PATIENCE,
        |number| {
            arrived.push(names[number].to_owned());
            Ok(())
        },
        |line| told.push(line.to_owned()),
    );
    let mut there: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap())
        .inspect(|entry| assert_eq!(fs::read(entry.path()).unwrap(), BODY))
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    let error = result
        .err()
        .map_or(String::new(), |error| format!("{error:#}"));
    let mut names = arrived.clone();
    names.sort();
    there.sort();
    assert_eq!(there, names, "{error}");
    Fetched {
        names: arrived,
        error,
        told,
    }
}

/// A folder with these files of the archive.
fn folder(names: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("pool/main/x")).unwrap();
    for name in names {
        fs::write(folder.path().join(path(name)), BODY).unwrap();
    }
    folder
}

/// A mirror with all files whose name does not begin with `no`, and the paths that were asked for.
fn mirror() -> (String, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let note = Arc::clone(&asked);
    let url = serve(move |path, stream| {
        note.lock().unwrap().push(path.to_owned());
        match path.contains("/no") {
            true => refuse(stream),
            false => respond(stream, BODY.len(), BODY),
        }
    });
    (url, asked)
}

/// Where nobody listens.
fn nowhere() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[test]
fn a_folder_that_the_reader_names_is_enough() {
    let names = ["a_1.deb", "b_1+2~3.deb"];
    let folder = folder(&names);
    let fetched = fetch(&[folder.path().to_str().unwrap()], &names);
    assert_eq!(fetched.has(&names).told, [""; 0]);
}

/// What was asked for, with an escape in small letters: curl 8.23 makes them capitals.
fn as_apt_writes(asked: &[String]) -> Vec<String> {
    asked.iter().map(|path| path.to_lowercase()).collect()
}

#[test]
fn a_mirror_is_asked_as_apt_asks() {
    let (url, asked) = mirror();
    let base = format!("{url}/debian/");
    fetch(&[&base], &["a_1.deb", "b_1+2~3.deb"]).has(&["a_1.deb", "b_1+2~3.deb"]);
    let mut asked = as_apt_writes(&asked.lock().unwrap());
    asked.sort();
    let wanted = [
        "/debian/pool/main/x/a_1.deb",
        "/debian/pool/main/x/b_1%2b2%7e3.deb",
    ];
    assert_eq!(asked, wanted);
}

#[test]
fn what_one_has_not_comes_from_the_next() {
    let folder = folder(&["a.deb"]);
    let (url, asked) = mirror();
    let last = mirror_of_all();
    let providers = [folder.path().to_str().unwrap(), &url, &last];
    let fetched = fetch(&providers, &["a.deb", "b.deb", "none.deb"]);
    fetched.has(&["a.deb", "b.deb", "none.deb"]);
    assert_eq!(asked.lock().unwrap().len(), 2);
    fetched
        .tells(
            1,
            &format!("no b.deb from {}: failed to open file", providers[0]),
        )
        .tells(1, &format!("no none.deb from {}", providers[0]))
        .tells(
            1,
            &format!("no none.deb from {url}: cannot fetch {url}/pool/main/x/none.deb: 404"),
        );
    assert_eq!(fetched.told.len(), 3);
}

/// A mirror that has everything.
fn mirror_of_all() -> String {
    serve(|_, stream| respond(stream, BODY.len(), BODY))
}

#[test]
fn other_bytes_are_refused_and_the_next_is_asked() {
    let liar = serve(|_, stream| respond(stream, BODY.len(), b"the bytes of an attack"));
    let folder = folder(&["a.deb"]);
    fs::write(folder.path().join(path("a.deb")), "other").unwrap();
    let (url, _) = mirror();
    let fetched = fetch(&[folder.path().to_str().unwrap(), &liar, &url], &["a.deb"]);
    fetched
        .has(&["a.deb"])
        .tells(2, "is not the pinned file: its SHA-256 is ");
    let fetched = fetch(&[&liar], &["a.deb"]);
    assert!(
        fetched.has(&[]).error.contains("nothing of it was kept"),
        "{fetched:#?}"
    );
}

#[test]
fn what_breaks_off_is_refused_and_the_next_is_asked() {
    let broken = serve(|_, stream| respond(stream, BODY.len(), &BODY[..5]));
    let short = serve(|_, stream| respond(stream, 5, &BODY[..5]));
    let (url, _) = mirror();
    let fetched = fetch(&[&broken, &short, &url], &["a.deb"]);
    fetched
        .has(&["a.deb"])
        .tells(2, "/a.deb broke off after 5 of 22 bytes");
}

#[test]
fn who_cannot_be_reached_is_not_asked_again() {
    let names: Vec<String> = (0..40).map(|n| format!("{n:02}.deb")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let (url, _) = mirror();
    let gone = nowhere();
    let fetched = fetch(
        &[
            &gone,
            "http://nobody.invalid/debian",
            "/no/such/folder",
            &url,
        ],
        &names,
    );
    fetched
        .has(&names)
        .tells(1, &format!("from {gone}: cannot fetch {gone}"))
        .tells(1, "from http://nobody.invalid/debian: ")
        .tells(1, "it is neither a URL nor a folder that has a pool/");
    assert_eq!(fetched.told.len(), 3, "{fetched:#?}");
}

#[test]
fn who_has_nothing_is_given_up_and_who_has_much_is_not() {
    let names: Vec<String> = (0..40).map(|n| format!("no{n:02}.deb")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let (url, _) = mirror();
    let all = mirror_of_all();
    let fetched = fetch(&[&url, &all], &names);
    fetched.has(&names).tells(3, &format!("from {url}"));
    // One in three is missing.
    let names: Vec<String> = (0..30)
        .map(|n| format!("{}{n:02}.deb", if n % 3 == 0 { "no" } else { "a" }))
        .collect();
    let mut names: Vec<_> = names.iter().map(String::as_str).collect();
    let (url, _) = mirror();
    let folder = folder(
        &names
            .iter()
            .copied()
            .filter(|name| name.starts_with('a'))
            .collect::<Vec<_>>(),
    );
    let fetched = fetch(&[folder.path().to_str().unwrap(), &all, &url], &names);
    names.sort_unstable();
    fetched.has(&names).tells(10, "failed to open file");
}

#[test]
fn who_falls_silent_is_given_up() {
    let begun = Instant::now();
    let silent = serve(|_, stream: &mut TcpStream| {
        respond(stream, BODY.len(), &BODY[..5]);
        std::thread::sleep(Duration::from_secs(60));
    });
    let mute = serve(|_, _| std::thread::sleep(Duration::from_secs(60)));
    let (url, _) = mirror();
    let fetched = fetch(&[&silent, &mute, &url], &["a.deb"]);
    fetched
        .has(&["a.deb"])
        .tells(1, "broke off after 5 of 22 bytes")
        .tells(1, "cannot fetch");
    assert!(begun.elapsed() < Duration::from_secs(30), "{fetched:#?}");
}

#[test]
fn when_nobody_has_it_all_is_told() {
    let (url, _) = mirror();
    let gone = nowhere();
    let fetched = fetch(&[&gone, &url], &["a.deb", "none.deb"]);
    fetched.has(&["a.deb"]);
    for word in [
        "none.deb could not be had:",
        &format!("no none.deb from {url}: cannot fetch {url}/pool/main/x/none.deb: 404"),
        &format!("from {gone}: "),
    ] {
        assert!(fetched.error.contains(word), "no {word:?} in {fetched:#?}");
    }
}

#[test]
fn one_large_file_is_fetched_in_the_same_order() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("package.deb");
    let liar = serve(|_, stream| respond(stream, BODY.len(), b"the bytes of an attack"));
    let (url, asked) = mirror();
    let mut stage = Stage::begin("test");
    let mut one = |providers: &[&str], name: &str| {
        let pool = Pool::of(providers.iter().map(|base| (*base).to_owned()));
        let result = pool.one(&path(name), &sha256_of(BODY), &target, &mut stage);
        assert_eq!(result.is_ok(), target.exists());
        let _ = fs::remove_file(&target);
        result.map_err(|error| format!("{error:#}"))
    };
    one(&[&nowhere(), "/no/such/folder", &liar, &url], "a+b.deb").unwrap();
    assert_eq!(
        as_apt_writes(&asked.lock().unwrap()),
        ["/pool/main/x/a%2bb.deb"]
    );
    let error = one(&[&liar, &url], "none.deb").unwrap_err();
    for word in [
        "none.deb could not be had:",
        &liar,
        "is not the pinned file",
        "404",
    ] {
        assert!(error.contains(word), "no {word:?} in {error}");
    }
    let other = self::folder(&["c.deb"]);
    one(&[other.path().to_str().unwrap()], "c.deb").unwrap();
    let has_left = fs::read_dir(folder.path()).unwrap().next().is_some();
    assert!(!has_left && Path::new(&folder.path()).exists());
    stage.done();
}
