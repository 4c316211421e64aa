//! Drawn changes that no chapter notices, and need not: `tests/mutants/survivors.toml` says why.

use std::collections::BTreeMap;

use crate::repository;

/// Why, by what is done.
pub struct Survivors(BTreeMap<String, String>);

impl Survivors {
    /// Those that were looked at.
    pub fn read() -> Self {
        let path = repository().join("tests/mutants/survivors.toml");
        let text = std::fs::read_to_string(path).unwrap();
        Self(toml::from_str(&text).unwrap())
    }

    /// Why a change survives. The number of its line may be another by now.
    pub fn why(&self, what: &str) -> Option<&str> {
        self.0.get(&without_line(what)).map(String::as_str)
    }
}

fn without_line(what: &str) -> String {
    let (file, rest) = what.split_once(':').unwrap();
    let (_, rest) = rest.split_once(' ').unwrap();
    format!("{file} {rest}")
}
