//! Replays from outside: the book's own chapters, and small ones made for one question each.

mod book;
mod fixture;
mod language;
mod machine;
mod verdict;
