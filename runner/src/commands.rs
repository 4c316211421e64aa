//! The subcommands, a file each.

pub mod bisect;
pub mod chapter;
pub mod claims;
pub mod clean;
pub mod cmdrun;
pub mod drift;
pub mod exercise;
pub mod lab;
pub mod mdbook;
pub mod packet;
pub mod plank;
pub mod preprocess;
pub mod record;
pub mod renumber;
pub mod run;
pub mod setup;
pub mod show;
pub mod verify;
