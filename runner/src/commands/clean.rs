//! `runner clean`: shows what the cache holds, asks, and removes it.

use std::io::IsTerminal as _;
use std::time::Duration;

use anyhow::{Result, bail};
use indicatif::HumanBytes;

use lab::build::cache::{Cache, Listed};
use lab::system::ask::confirm;

/// Lists the cache, and removes its entries once the reader agrees.
pub fn run(cache: &Cache, yes: bool) -> Result<()> {
    let entries = cache.list()?;
    if entries.is_empty() {
        println!(
            "nothing to clean: {} holds nothing that was fetched or built",
            cache.root().display()
        );
        return Ok(());
    }
    println!("{}", cache.root().display());
    for entry in &entries {
        println!("  {}", line(entry));
    }
    let all: u64 = entries.iter().map(|entry| entry.bytes).sum();
    println!("  {:>11}  in all", HumanBytes(all).to_string());
    if !yes {
        if !std::io::stdin().is_terminal() {
            bail!(
                "there is no terminal to ask on, so nothing was removed; agree beforehand with --yes"
            );
        }
        if !confirm("Remove all of it?")? {
            println!("nothing was removed");
            return Ok(());
        }
    }
    let mut failures = Vec::new();
    for entry in &entries {
        if let Err(error) = cache.remove(entry) {
            failures.push(format!("{error:#}"));
        }
    }
    if !failures.is_empty() {
        bail!(
            "not everything could be removed:\n  {}",
            failures.join("\n  ")
        );
    }
    println!("removed");
    Ok(())
}

fn line(entry: &Listed) -> String {
    let state = if entry.complete { "" } else { ", not finished" };
    format!(
        "{:>11}  {}/{}, {} old{state}",
        HumanBytes(entry.bytes).to_string(),
        entry.kind,
        entry.key,
        age(entry.age)
    )
}

fn age(age: Duration) -> String {
    let minutes = age.as_secs() / 60;
    match minutes {
        0..60 => format!("{minutes} min"),
        60..2880 => format!("{} h", minutes / 60),
        _ => format!("{} days", minutes / 1440),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_read_well() {
        assert_eq!(age(Duration::from_secs(119)), "1 min");
        assert_eq!(age(Duration::from_secs(3 * 3600)), "3 h");
        assert_eq!(age(Duration::from_secs(5 * 86_400)), "5 days");
    }
}
