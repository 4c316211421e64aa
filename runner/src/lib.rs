//! The runner of *The Ship of Theseus*: it replays the steps of a chapter in a deterministic QEMU
//! guest, compares what they print with the recorded snapshot, and shows it on the rendered page.
