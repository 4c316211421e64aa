//! From pinned sources to a bootable lab: each part is made once, and kept in the cache.

pub mod bench;
pub mod bundle;
pub(crate) mod busybox;
pub mod cache;
pub mod cpio;
pub mod deb;
pub mod fetch;
pub mod fresh;
pub mod history;
pub mod kernel;
pub mod patch;
pub mod patched;
pub mod pins;
pub mod plank;
pub mod pool;
pub(crate) mod recipe;
pub mod rework;
pub mod rootfs;
pub mod setup;
pub mod sources;
pub mod tarball;
pub mod tools;
pub mod turns;
pub(crate) mod unpack;
pub mod variant;
