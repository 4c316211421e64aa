//! From pinned sources to a bootable lab: each part is made once, and kept in the cache.

pub mod apt;
pub mod busybox;
pub mod cache;
pub mod cpio;
pub mod fetch;
pub mod fresh;
pub mod kernel;
pub mod packages;
pub mod pins;
pub mod recipe;
pub mod rootfs;
pub mod setup;
pub mod sources;
pub mod tarball;
