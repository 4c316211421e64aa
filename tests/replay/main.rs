//! Replays from outside: small chapters, made for one question each.

mod beside;
mod bisect;
mod exercise;
#[path = "../support/fixture.rs"]
#[allow(dead_code, reason = "each target uses another part of it")]
mod fixture;
mod front;
mod lab;
mod language;
mod late;
mod machine;
mod names;
mod own_kernel;
mod panes;
mod patched;
mod plank;
#[path = "../support/processes.rs"]
#[allow(dead_code, reason = "each target uses another part of it")]
mod processes;
mod run;
mod series;
mod shell;
mod stdout;
#[path = "../support/toolbox.rs"]
#[allow(dead_code, reason = "each target uses another part of it")]
mod toolbox;
mod turns;
mod verdict;
mod windows;
