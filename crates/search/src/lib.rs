//! A full-text index beside the store: [`Index`] is a [`model::Search`]. It reads the store's feed, keeps words and
//! places, and gives candidates; what a caller may see of them is decided by reading the store (`service`).
//!
//! Everything in it can be made again from the store: an index that is missing, damaged, of another format or too far
//! behind is thrown away and made anew. It knows no service, no dialect and nobody's rights.

mod document;
mod erase;
mod feed;
mod find;
mod index;
mod mark;
mod query;
mod settings;
mod show;
mod text;
mod walk;
mod words;
mod work;

pub use index::{Index, Status};
pub use settings::Settings;
