//! The lab's own programs: from packages that are fetched by hash, by way of a provider that has
//! them, into a root.

#[path = "../support/archive.rs"]
mod archive;
mod deb;
mod further;
mod package;
mod pool;
mod root;
#[path = "../support/server.rs"]
mod server;

#[path = "../support/toolbox.rs"]
#[allow(dead_code, reason = "each target uses another part of it")]
mod toolbox;

#[path = "../support/fixture.rs"]
#[allow(dead_code, reason = "each target uses another part of it")]
mod fixture;
