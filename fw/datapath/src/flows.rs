//! The flow table, from outside: read, counted, swept. Uses `program`, `maps`, `kernel`, `settings`.

/// Packets and bytes.
pub mod count;
/// New flows, while there are too many of them.
pub mod flood;
/// Where flows belong: the hashes of the programs, once more.
pub mod hash;
/// Retires what is expired, restamps what is old, and scales idle times with the fill.
pub mod sweep;
/// The flow table, read from outside.
pub mod table;
