//! Packet scripts: what TCP must do, stated in the language of packetdrill, and judged in the
//! guest.
//!
//! The way of a script: `text` and `parse` make `script` of it, `compile` makes the events that
//! `guest.c` performs, `guest` boots the machine for all scripts at once, and `judge` compares the
//! report with the script. The guest decides nothing, so all of the language is in here. `outcome`
//! says it in words; `window` is what a chapter's step asks for.

pub mod call;
pub mod code;
mod compile;
pub mod guest;
pub mod judge;
mod make;
mod name;
mod option;
pub mod outcome;
mod parse;
mod report;
pub mod script;
mod segment;
mod text;
pub mod window;
