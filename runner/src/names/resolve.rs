//! Whether the kernel has what a claim says, and which names are near if not.

use std::collections::BTreeSet;

use super::{Index, Kind, Name};
use crate::claim::{Shape, has_underscore};

/// What a claim turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its kind.
    pub kind: Kind,
    /// Its place, for people: `struct sock_common +18, include/net/sock.h:169`.
    pub place: String,
}

/// How many near names a message gives.
const NEAR_MAX: usize = 3;

/// Looks a claim up.
///
/// # Errors
/// What is wrong with it, and what would be near.
pub fn resolve(index: &Index, shape: &Shape) -> Result<Found, String> {
    match shape {
        Shape::Names(names) => names_of(index, names),
        Shape::Tagged(word, name) => tagged(index, word, name),
        Shape::Members(parts) => members(index, parts),
        Shape::File(path, line) => file(index, path, *line),
        Shape::Config(name, value) => config(index, name, value.as_deref()),
        Shape::Guest(path) => guest(index, path),
        Shape::Tracepoint(name) => one(index, name, "tracepoint of the guest's", |kind| {
            kind == Kind::Tracepoint
        }),
    }
}

fn names_of(index: &Index, names: &[String]) -> Result<Found, String> {
    let mut found = names.iter().map(|name| bare(index, name));
    let first = found.next().unwrap_or_else(|| Err("nothing".to_owned()))?;
    found.collect::<Result<Vec<_>, _>>()?;
    Ok(first)
}

/// A name alone: of whatever kind.
fn bare(index: &Index, name: &str) -> Result<Found, String> {
    let is_code = |kind: Kind| kind < Kind::Sysctl || kind == Kind::Symbol || kind == Kind::Local;
    if let Some(found) = best(index.named(name).filter(|found| is_code(found.kind))) {
        return Ok(found);
    }
    if let Some(found) = best(index.named(&format!("CONFIG_{name}"))) {
        return Ok(found);
    }
    let ending = format!("/{name}");
    let all = index.all();
    let sysctl = all
        .filter(|found| found.kind == Kind::Sysctl && found.text.ends_with(&ending))
        .map(|found| found.text)
        .next();
    if let Some(path) = sysctl {
        let (kind, place) = (Kind::Sysctl, path.to_owned());
        return Ok(Found { kind, place });
    }
    Err(unknown(index, name, "name of this kernel", is_code))
}

fn tagged(index: &Index, word: &str, name: &str) -> Result<Found, String> {
    let is_it = |kind: Kind| kind.word() == word;
    if let Some(found) = best(index.named(name).filter(|found| is_it(found.kind))) {
        return Ok(found);
    }
    Err(unknown(index, name, &format!("{word} of this kernel"), is_it))
}

fn one(
    index: &Index,
    name: &str,
    what: &str,
    is_it: impl Fn(Kind) -> bool,
) -> Result<Found, String> {
    let found = best(index.named(name).filter(|found| is_it(found.kind)));
    found.ok_or_else(|| unknown(index, name, what, is_it))
}

/// Follows a path of members; the first part may be a variable that only the reader knows.
fn members(index: &Index, parts: &[String]) -> Result<Found, String> {
    let is_member = |kind| kind == Kind::Member;
    // The structures that the part before may be; none when it may be any.
    let mut of: Option<BTreeSet<&str>> = None;
    let mut last = None;
    for (number, part) in parts.iter().enumerate() {
        let all: Vec<Name<'_>> = index
            .named(part)
            .filter(|found| is_member(found.kind))
            .collect();
        let fits = |found: &&Name<'_>| of.as_ref().is_none_or(|of| of.contains(found.of));
        let fitting: Vec<&Name<'_>> = all.iter().filter(fits).collect();
        if fitting.is_empty() {
            if number == 0 {
                if has_underscore(part) {
                    bare(index, part)?;
                }
                continue;
            }
            if all.is_empty() {
                return Err(unknown(index, part, "member of this kernel's", is_member));
            }
            let of = Vec::from_iter(of.unwrap_or_default()).join(", ");
            let before = &parts[number - 1];
            return Err(format!("`{part}` is no member of `{before}` ({of})"));
        }
        of = Some(fitting.iter().map(|found| found.to).filter(|to| !to.is_empty()).collect());
        if number == 0 && !has_underscore(part) {
            // It may be a variable of the same name.
            of = None;
        }
        last = best(fitting.into_iter().cloned());
    }
    last.ok_or_else(|| format!("`{}` names no member", parts.join("->")))
}

fn file(index: &Index, path: &str, line: Option<usize>) -> Result<Found, String> {
    let is_file = |kind: Kind| kind == Kind::File || kind == Kind::Folder;
    let is_code = path.contains('/') && !path.contains('*');
    let found: Vec<&str> = if is_code {
        index.named(path).filter(|found| is_file(found.kind)).map(|found| found.text).collect()
    } else {
        let all = index.all().filter(|found| is_file(found.kind));
        let fits = |found: &str| match path.contains('/') {
            true => matches(path, found),
            false => matches(path, found.rsplit('/').next().unwrap_or(found)),
        };
        all.map(|found| found.text).filter(|text| fits(text)).collect()
    };
    let Some(first) = found.iter().min_by_key(|path| (rank(path), path.len())) else {
        return Err(unknown(index, path, "file of this kernel's source", is_file));
    };
    let kind = match index.named(first).any(|found| found.kind == Kind::Folder) {
        true => Kind::Folder,
        false => Kind::File,
    };
    let place = match line {
        Some(line) => format!("{first}:{line}"),
        None => (*first).to_owned(),
    };
    Ok(Found { kind, place })
}

fn config(index: &Index, name: &str, value: Option<&str>) -> Result<Found, String> {
    let is_option = |kind| kind == Kind::Config;
    let found = one(index, name, "option of this kernel", is_option)?;
    let now = index.named(name).next().map_or("", |found| found.detail);
    match value {
        None => Ok(found),
        Some(value) if value == now || (value == "n" && now == "not set") => Ok(found),
        Some(value) => Err(format!("`{name}` is {now} in the lab's kernel, and not {value}")),
    }
}

fn guest(index: &Index, path: &str) -> Result<Found, String> {
    let is_shown = |kind: Kind| kind == Kind::GuestFile || kind == Kind::Sysctl;
    let path = of_self(path);
    let mut all = index.all().filter(|found| is_shown(found.kind));
    let found = match path.contains('*') {
        true => all.find(|found| matches(&path, found.text)),
        false => index.named(&path).find(|found| is_shown(found.kind)),
    };
    match found {
        Some(found) => Ok(Found {
            kind: found.kind,
            place: "in the guest".to_owned(),
        }),
        None => Err(unknown(index, &path, "file of the guest's", is_shown)),
    }
}

/// The folder of any process is like that of the one who looks.
fn of_self(path: &str) -> String {
    let rest = path.strip_prefix("/proc/");
    match rest.and_then(|rest| rest.split_once('/')) {
        Some((process, rest))
            if process == "PID" || process.bytes().all(|b| b.is_ascii_digit()) =>
        {
            format!("/proc/self/{rest}")
        }
        _ => path.to_owned(),
    }
}

/// Whether a path fits a pattern, in which `*` stands for any part of one component.
fn matches(pattern: &str, path: &str) -> bool {
    let (pattern, path) = (pattern.split('/'), path.split('/'));
    let same = pattern.clone().count() == path.clone().count();
    same && pattern.zip(path).all(|(pattern, part)| match pattern.split_once('*') {
        None => pattern == part,
        Some((start, end)) => {
            part.len() >= start.len() + end.len() && part.starts_with(start) && part.ends_with(end)
        }
    })
}

/// The one of several that a book about the network means.
fn best<'a>(all: impl Iterator<Item = Name<'a>>) -> Option<Found> {
    let all: Vec<Name<'a>> = all.collect();
    let kind = all.iter().map(|found| found.kind).min()?;
    let of_kind = all.iter().filter(|found| found.kind == kind);
    let key = |found: &&Name<'a>| (rank(found.place), found.place.len(), found.place.to_owned());
    let found = of_kind.clone().min_by_key(key)?;
    let owners: BTreeSet<&str> = of_kind.map(|found| found.of).collect();
    let place = place(found, owners.len() - 1);
    Some(Found { kind, place })
}

fn place(found: &Name<'_>, others: usize) -> String {
    let others = match others {
        0 => String::new(),
        1 => " and 1 other".to_owned(),
        others => format!(" and {others} others"),
    };
    let before = match found.kind {
        Kind::Config => return format!("{}, {}", found.place, found.detail),
        Kind::Member => format!("{} {}{others}", found.of, found.detail),
        Kind::Local => format!("of {}{others}", found.of),
        Kind::Tracepoint | Kind::GuestFile | Kind::Sysctl => "in the guest".to_owned(),
        Kind::Symbol if found.place.is_empty() => "of the linked image".to_owned(),
        _ => found.detail.to_owned(),
    };
    match (&*before, found.place) {
        ("", place) => place.to_owned(),
        (before, "") => before.to_owned(),
        (before, place) => format!("{before}, {place}"),
    }
}

/// How far a file is from what the book is about.
fn rank(place: &str) -> u8 {
    const NEAR: [&[&str]; 6] = [
        &["net/ipv4/", "include/net/"],
        &["net/core/"],
        &["net/", "include/linux/", "include/uapi/linux/"],
        &["init/", "kernel/", "include/", "mm/"],
        &["arch/x86/", "fs/", "drivers/", "lib/"],
        &[""],
    ];
    let near = NEAR
        .iter()
        .position(|folders| folders.iter().any(|folder| place.starts_with(folder)));
    near.map_or(u8::MAX, |near| u8::try_from(near).unwrap_or(u8::MAX))
}

fn unknown(index: &Index, name: &str, what: &str, is_it: impl Fn(Kind) -> bool) -> String {
    let all = index.all().filter(|found| is_it(found.kind));
    let near = near(name, all.map(|found| found.text));
    format!("`{name}` is no {what}{}", told(&near))
}

/// `; near: a, b`, or nothing.
pub(crate) fn told(near: &[String]) -> String {
    match near {
        [] => "; no name is near it".to_owned(),
        near => format!("; near it: {}", near.join(", ")),
    }
}

/// The names that differ least, best first.
pub(crate) fn near<'a>(name: &str, all: impl Iterator<Item = &'a str>) -> Vec<String> {
    let most = (name.len() / 3).clamp(1, 4);
    let mut found: BTreeSet<(usize, &str)> = BTreeSet::new();
    for other in all {
        if other.len().abs_diff(name.len()) > most {
            continue;
        }
        let distance = strsim::osa_distance(name, other);
        if distance <= most && found.insert((distance, other)) && found.len() > NEAR_MAX {
            found.pop_last();
        }
    }
    let least = found.first().map_or(0, |(distance, _)| *distance);
    let close = found.into_iter().filter(|(distance, _)| *distance <= least + 1);
    close.map(|(_, other)| other.to_owned()).collect()
}
