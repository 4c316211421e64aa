//! The book of *The Ship of Theseus*: it reads chapters, and makes pages of them. It boots nothing and
//! knows no command line.

pub mod chapter;

pub mod snapshot;

pub mod symbols;

pub mod prose;

pub mod drawing;

pub mod page;

pub mod html;
pub mod renumber;
