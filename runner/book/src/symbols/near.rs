//! The names that an unknown one may be a mistake for.

use std::collections::BTreeSet;

/// How many near names a message gives.
const NEAR_MAX: usize = 3;

/// What a message says about near names.
#[must_use]
pub fn told(near: &[String]) -> String {
    match near {
        [] => "; no name is near it".to_owned(),
        near => format!("; near it: {}", near.join(", ")),
    }
}

/// The names that differ least, best first.
#[must_use]
pub fn near<'a>(name: &str, all: impl Iterator<Item = &'a str>) -> Vec<String> {
    let most = (name.len() / 3).clamp(1, 4);
    let alike = all.filter(|other| other.len().abs_diff(name.len()) <= most);
    let measured = alike.map(|other| (strsim::osa_distance(name, other), other));
    let found: BTreeSet<_> = measured.filter(|(distance, _)| *distance <= most).collect();
    let least = found.first().map_or(0, |(distance, _)| *distance);
    let close = found.into_iter().take(NEAR_MAX);
    let close = close.take_while(|(distance, _)| *distance <= least + 1);
    close.map(|(_, other)| other.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_letters_are_near_and_the_nearest_come_first() {
        let all = [
            "tcp_init",
            "tcp_exit",
            "udp_init",
            "tcp_initial",
            "x",
            "ping_init",
        ];
        let found = |name| near(name, all.into_iter());
        assert_eq!(found("tcp_intt"), ["tcp_init"]);
        assert_eq!(found("tcp_iint"), ["tcp_init"]);
        assert_eq!(found("icp_init"), ["tcp_init", "udp_init"]);
        assert!(found("sock_create_kern").is_empty());
    }
}
