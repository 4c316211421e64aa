//! The book of *The Ship of Theseus*: it reads chapters, and makes pages of them. It starts no
//! process but the one boot in which a guest tells its names, and knows no command line.
//!
//! The modules stand in the order in which they build on each other: each uses those before it.

pub mod fault;
pub mod html;

mod pattern;

pub mod chapter;

pub mod exercise;

pub mod snapshot;

pub mod symbols;

pub mod prose;

pub mod drawing;

pub mod page;

pub mod renumber;
