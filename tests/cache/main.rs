//! Faults of the cache and of the sources, each provoked. After each: what the message says, how
//! the runner ends, what is left, and that the next run works.

#[path = "../support/archive.rs"]
mod archive;
mod bundle;
mod clock;
mod company;
mod damage;
#[path = "../support/folder.rs"]
mod folder;
mod full;
mod kill;
mod place;
#[path = "../support/processes.rs"]
#[allow(dead_code, reason = "each target uses another part of it")]
mod processes;
#[path = "../support/seed.rs"]
#[allow(dead_code, reason = "each target draws in its own way")]
mod seed;
#[path = "../support/server.rs"]
#[allow(dead_code, reason = "each target uses another part of it")]
mod server;
mod shim;
mod sources;
#[path = "../support/toolbox.rs"]
#[allow(dead_code, reason = "each target uses another part of it")]
mod toolbox;

#[path = "../support/fixture.rs"]
#[allow(dead_code, reason = "each target uses another part of it")]
mod fixture;
