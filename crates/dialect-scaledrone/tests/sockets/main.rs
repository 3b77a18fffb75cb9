//! Connections as they are on the wire, over real sockets and the oracle of the store: what the vendor's lenient
//! clients would not notice.

mod bad_input;
mod client;
mod endings;
mod frames;
mod house;
mod runs;
