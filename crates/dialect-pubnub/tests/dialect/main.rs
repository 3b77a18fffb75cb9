//! The whole dialect on the oracle of the store.

mod access;
mod dialect;
mod exchanges;
mod selection;
