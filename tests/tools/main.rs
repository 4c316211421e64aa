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
