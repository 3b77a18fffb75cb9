//! The dialect over the oracle of the store, asked as callers ask it.

mod access;
mod bad_input;
mod events;
mod filter;
mod handles;
mod house;
mod paging;
mod second;
mod sending;
mod tokens;
mod vectors;
