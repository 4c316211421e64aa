//! One program of this machine in the guest, with all that it needs.

pub mod closure;
pub mod guest;
pub(crate) mod ldso;
