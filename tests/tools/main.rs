//! The lab's own programs, as they are fetched and unpacked.

use lab::build::cache::Cache;
use lab::build::tools;

#[path = "../support/fixture.rs"]
#[allow(dead_code, reason = "each target uses another part of it")]
mod fixture;

#[test]
#[ignore = "fetches"]
fn slice() {
    let cache = Cache::at(std::env::var("TRY_CACHE").unwrap());
    let begun = std::time::Instant::now();
    let root = tools::ready(&cache, &fixture::repository(), None).unwrap();
    eprintln!("{} {:?}", root.display(), begun.elapsed());
}

#[test]
#[ignore = "fetches"]
fn sources() {
    let cache = Cache::at(std::env::var("TRY_CACHE").unwrap());
    let pins = lab::build::pins::Pins::read(&fixture::repository()).unwrap();
    let begun = std::time::Instant::now();
    let source = lab::build::sources::kernel(&cache, pins.kernel("6.1").unwrap(), None).unwrap();
    eprintln!("{source:?} {:?}", begun.elapsed());
    let source = lab::build::sources::busybox(&cache, &pins.busybox, None).unwrap();
    eprintln!("{source:?} {:?}", begun.elapsed());
}
