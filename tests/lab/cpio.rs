//! Archives of made-up trees, read back by the system's own cpio.

use std::fs;

use duct::cmd;
use lab::build::cpio::{Archive, Node};

/// A small generator of numbers: the same ones in every run, so that a failure can be repeated.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// What `cpio -itv` says of a node: mode, links and size, or device numbers.
fn as_listed(node: &Node, path: &str) -> String {
    let letters = |kind: char, mode: u32| -> String {
        let bits = "rwxrwxrwx".chars().enumerate();
        let mut text: Vec<char> = bits
            .map(|(at, bit)| if mode & (0o400 >> at) == 0 { '-' } else { bit })
            .collect();
        if mode & 0o1000 != 0 {
            text[8] = if text[8] == 'x' { 't' } else { 'T' };
        }
        kind.to_string() + &text.iter().collect::<String>()
    };
    match node {
        Node::Folder(mode) => format!("{} 2 0 {path}", letters('d', *mode)),
        Node::File(mode, bytes) => format!("{} 1 {} {path}", letters('-', *mode), bytes.len()),
        Node::Link(target) => format!(
            "{} 1 {} {path} -> {target}",
            letters('l', 0o777),
            target.len()
        ),
        Node::Device(mode, major, minor) => {
            format!("{} 1 {major}, {minor} {path}", letters('c', *mode))
        }
    }
}

/// A line of `cpio -itv` without owner and time.
fn without_owner_and_time(line: &str) -> String {
    let mut words: Vec<&str> = line.split_whitespace().collect();
    words.drain(2..4);
    let time = if words[2].ends_with(',') { 4 } else { 3 };
    words.drain(time..time + 3);
    words.join(" ")
}

#[test]
fn any_tree_is_read_back_by_cpio() {
    if cmd!("cpio", "--version")
        .stdout_null()
        .stderr_null()
        .run()
        .is_err()
    {
        eprintln!("skipped: there is no cpio here");
        return;
    }
    for seed in 0..40 {
        let mut numbers = Numbers(seed);
        let mut archive = Archive::new();
        for number in 0..numbers.below(30) {
            let depth = numbers.below(4);
            let folders: String = (0..depth)
                .map(|_| format!("d{}/", numbers.below(3)))
                .collect();
            // Names of all lengths, for the padding.
            let name = format!(
                "{folders}n{number}{}",
                "x".repeat(numbers.below(7) as usize)
            );
            let mode = [0o644, 0o755, 0o600, 0o1777][numbers.below(4) as usize];
            let node = match numbers.below(4) {
                0 => Node::Folder(mode),
                1 => Node::File(mode, vec![7; numbers.below(2000) as usize]),
                2 => Node::Link(format!("../{}", "t".repeat(numbers.below(9) as usize))),
                _ => Node::Device(mode, 5, number as u32),
            };
            archive.put(&name, node);
        }
        let bytes = archive.to_bytes();
        let list = cmd!("cpio", "-itv", "--quiet")
            .env("LC_ALL", "C")
            .env("TZ", "UTC")
            .stdin_bytes(bytes)
            .read()
            .unwrap();
        let listed: Vec<_> = list.lines().map(without_owner_and_time).collect();
        let expected: Vec<_> = archive
            .paths()
            .map(|path| as_listed(archive.get(path).unwrap(), path))
            .collect();
        assert_eq!(listed, expected, "seed {seed}");
        assert!(
            list.lines()
                .all(|line| line.contains("root") && line.contains("Jan  1  1970")),
            "{list}"
        );
    }
}

#[test]
fn files_are_unpacked_with_their_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let mut archive = Archive::new();
    for length in [0, 1, 2, 3, 4, 5, 1000] {
        archive.put(
            &format!("d/{length}"),
            Node::File(0o644, vec![b'a'; length]),
        );
    }
    let unpack = cmd!("cpio", "-i", "--quiet")
        .dir(folder.path())
        .stdin_bytes(archive.to_bytes())
        .run();
    if unpack.is_err() {
        eprintln!("skipped: there is no cpio here");
        return;
    }
    for length in [0, 1, 2, 3, 4, 5, 1000] {
        assert_eq!(
            fs::read(folder.path().join(format!("d/{length}")))
                .unwrap()
                .len(),
            length
        );
    }
}
