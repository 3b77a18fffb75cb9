//! The rules of the protocol, on sessions without sockets.

mod changes;
mod chats;
mod directory;
mod handshake;
mod history;
mod rig;
