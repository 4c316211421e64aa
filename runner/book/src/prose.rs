//! The text between the steps: names of the kernel in it, numbers, and what is exempt.

pub mod absent;
pub mod excerpt;
pub mod exempt;
pub mod glossary;
pub mod mention;
pub mod numeral;
pub mod patched;
pub mod resolve;
pub mod shape;
