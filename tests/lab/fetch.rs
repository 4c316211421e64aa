//! Downloads from a server on this machine that behaves, and from ones that do not.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use lab::build::cache::Cache;
use lab::build::fetch::{self, Patience, Wanted};
use lab::build::pins::{KernelPin, Upstream};
use lab::build::sources::{self, Source};
use lab::system::files::sha256_of;
use lab::system::progress::Stage;

use crate::server::{refuse, respond, serve};

const BODY: &[u8] = b"the bytes of a tarball";
const PATIENCE: Patience = Patience {
    answer: Duration::from_millis(300),
    silence: Duration::from_millis(300),
};

/// Fetches, and returns the error if there is one, after checking that then nothing is kept.
fn fetch(url: &str, sha256: &str) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("file.tar.xz");
    let result = fetch::file(url, &target, sha256, PATIENCE, |_, _| {});
    match result {
        Ok(()) => {
            assert_eq!(fs::read(&target).unwrap(), BODY);
            None
        }
        Err(error) => {
            assert_eq!(
                fs::read_dir(folder.path()).unwrap().count(),
                0,
                "something was kept"
            );
            Some(format!("{error:#}"))
        }
    }
}

#[test]
fn good_file_is_kept() {
    let url = serve(|_, stream| respond(stream, BODY.len(), BODY));
    assert_eq!(fetch(&url, &sha256_of(BODY)), None);
}

#[test]
fn truncated_file_is_refused() {
    let url = serve(|_, stream| respond(stream, BODY.len() + 10, BODY));
    let error = fetch(&url, &sha256_of(BODY)).unwrap();
    assert!(
        error.contains("after 22 bytes") || error.contains("cut short"),
        "{error}"
    );
}

#[test]
fn wrong_file_is_refused() {
    let url = serve(|_, stream| respond(stream, BODY.len(), BODY));
    let error = fetch(&url, &"0".repeat(64)).unwrap();
    assert!(
        error.contains("is not the pinned file") && error.contains(&sha256_of(BODY)),
        "{error}"
    );
}

#[test]
fn full_disk_is_told_and_left_empty() {
    let url = serve(|_, stream| respond(stream, BODY.len(), BODY));
    let folder = tempfile::tempdir().unwrap();
    let partial = folder.path().join("file.tar.partial");
    std::os::unix::fs::symlink("/dev/full", &partial).unwrap();
    let target = folder.path().join("file.tar.xz");
    let result = fetch::file(&url, &target, &sha256_of(BODY), PATIENCE, |_, _| {});
    let error = format!("{:#}", result.unwrap_err());
    let told = format!(
        "failed to write to file `{}`: No space left on device",
        partial.display()
    );
    assert!(error.contains(&told), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn full_disk_is_not_blamed_on_the_site() {
    let url = serve(|_, stream| respond(stream, BODY.len(), BODY));
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/dev/full", folder.path().join("a")).unwrap();
    let wanted = Wanted {
        url: format!("{url}/a"),
        name: "a",
        size: BODY.len() as u64,
        sha256: &sha256_of(BODY),
    };
    let result = fetch::files(&[wanted], folder.path(), PATIENCE, |_, result| {
        panic!("it has ended: {result:?}")
    });
    let error = result.unwrap_err().to_string();
    let told = format!("cannot write {}: ", folder.path().join("a").display());
    assert!(error.starts_with(&told), "{error}");
}

#[test]
fn missing_file_is_named() {
    let url = serve(|_, stream| refuse(stream));
    let error = fetch(&url, &sha256_of(BODY)).unwrap();
    assert!(error.contains(&url) && error.contains("404"), "{error}");
}

#[test]
fn server_that_never_answers_is_given_up() {
    let begun = Instant::now();
    let url = serve(|_, _| thread::sleep(Duration::from_secs(20)));
    let error = fetch(&url, &sha256_of(BODY)).unwrap();
    assert!(error.contains("timeout"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[test]
fn server_that_falls_silent_is_given_up() {
    let begun = Instant::now();
    let url = serve(|_, stream| {
        respond(stream, BODY.len(), &BODY[..5]);
        thread::sleep(Duration::from_secs(20));
    });
    let error = fetch(&url, &sha256_of(BODY)).unwrap();
    assert!(
        error.contains("fell silent") && error.contains("after 5 bytes"),
        "{error}"
    );
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[test]
fn slow_server_is_waited_for() {
    let url = serve(|_, stream| {
        respond(stream, BODY.len(), &[]);
        // Longer in all than the deadline for one silence.
        for byte in BODY {
            thread::sleep(Duration::from_millis(25));
            stream.write_all(&[*byte]).unwrap();
        }
    });
    assert_eq!(fetch(&url, &sha256_of(BODY)), None);
}

/// Answers that the file is elsewhere.
fn redirect(stream: &mut TcpStream, to: &str) {
    let head = "HTTP/1.1 302 Found\r\nContent-Length: 4\r\nConnection: close\r\nLocation: ";
    write!(stream, "{head}{to}\r\n\r\nover").unwrap();
}

#[test]
fn redirect_is_followed_but_not_for_ever_and_not_out_of_http() {
    let url = serve(|path, stream| match path {
        "/moved" => redirect(stream, "/moved-again"),
        "/moved-again" => redirect(stream, "/here"),
        "/circle" => redirect(stream, "/circle"),
        "/out" => redirect(stream, "file:///etc/hostname"),
        _ => respond(stream, BODY.len(), BODY),
    });
    let hash = sha256_of(BODY);
    assert_eq!(fetch(&format!("{url}/moved"), &hash), None);
    for (path, word) in [("/circle", "redirects"), ("/out", "file")] {
        let error = fetch(&format!("{url}{path}"), &hash).unwrap();
        assert!(error.contains(word) && error.contains(path), "{error}");
    }
    let error = fetch("file:///etc/hostname", &hash).unwrap();
    assert!(error.contains("Protocol \"file\""), "{error}");
}

#[test]
fn text_that_never_ends_is_given_up() {
    let url = serve(|_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        while stream.write_all(&[b'x'; 1 << 16]).is_ok() {}
    });
    let error = fetch::text(&url, PATIENCE).unwrap_err().to_string();
    assert!(error.contains("longer than 1048576 bytes"), "{error}");
}

/// Fetches as from kernel.org, with a list that has this hash for the file.
fn upstream(listed: &str) -> Result<(), String> {
    let list = format!("-----BEGIN PGP SIGNED MESSAGE-----\n\n{listed}  linux-1.tar.xz\n");
    let url = serve(move |path, stream| match path {
        "/sha256sums.asc" => respond(stream, list.len(), list.as_bytes()),
        _ => respond(stream, BODY.len(), BODY),
    });
    let pin = Upstream {
        url: format!("{url}/linux-1.tar.xz"),
        checksums: format!("{url}/sha256sums.asc"),
    };
    let folder = tempfile::tempdir().unwrap();
    let mut stage = Stage::begin("test");
    let target = folder.path().join("linux.tar.xz");
    let result = sources::upstream(&pin, "linux-1.tar.xz", &target, PATIENCE, &mut stage);
    assert_eq!(result.is_ok(), target.exists());
    result.map_err(|error| format!("{error:#}"))
}

/// One that Debian has not: nobody else is asked.
#[test]
fn kernel_without_a_package_comes_from_its_makers_alone() {
    let list = format!("{}  linux-5.4.34.tar.xz\n", sha256_of(BODY));
    let url = serve(move |path, stream| match path {
        "/sha256sums.asc" => respond(stream, list.len(), list.as_bytes()),
        _ => respond(stream, BODY.len(), BODY),
    });
    let cache = tempfile::tempdir().unwrap();
    let kernel = |url: &str| {
        let pin = KernelPin {
            version: "5.4.34".to_owned(),
            objects: 1,
            without: BTreeMap::new(),
            debian: None,
            upstream: Upstream {
                url: format!("{url}/linux-5.4.34.tar.xz"),
                checksums: format!("{url}/sha256sums.asc"),
            },
        };
        sources::kernel(&Cache::at(cache.path()), &pin, None)
    };
    let error = format!("{:#}", kernel("http://127.0.0.1:9").unwrap_err());
    assert!(!error.contains("Debian"), "{error}");
    let Source::Tarball { path, sha256 } = kernel(&url).unwrap() else {
        panic!("it is no tarball");
    };
    assert_eq!(fs::read(path).unwrap(), BODY);
    assert_eq!(sha256, sha256_of(BODY));
}

#[test]
fn published_checksum_decides() {
    upstream(&sha256_of(BODY)).unwrap();
    assert!(
        upstream(&"0".repeat(64))
            .unwrap_err()
            .contains("is not the pinned file")
    );
    assert!(
        upstream("none")
            .unwrap_err()
            .contains("lists no linux-1.tar.xz")
    );
}
