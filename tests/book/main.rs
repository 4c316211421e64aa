//! The rendered book, from outside: the preprocessors alone, and pages that the real mdbook and the
//! real mdbook-cmdrun made. The HTML is read by a real parser, as a browser would read it.
//!
//! The book is `fixture/`, copied into a folder of its own for each test, with the repository's
//! `book.toml` and theme.

mod adapter;
mod drawings;
mod exercises;
mod fixture;
#[path = "../support/folder.rs"]
mod folder;
mod hostile;
mod lists;
mod names;
mod pages;
mod picture;
mod preprocess;
mod renumber;
mod show;
mod tools;
mod values;
