//! The whole program on an empty folder and a free port: what it promises to those who run it.

mod backups;
mod bad_input;
mod changing;
mod commands;
#[path = "../../examples/osmium/connection.rs"]
mod connection;
mod exports;
mod formats;
mod full_disk;
mod guide;
mod kill;
mod one_history;
mod osmium;
mod program;
mod pubnub;
mod readme;
mod searching;
mod sockets;
mod stop;
mod work;
