//! The messages of the wire, as compiled from `proto/osmium.proto`: the vendor's shapes and numbers, nothing of ours.

#![expect(missing_docs, reason = "generated; the schema tells each message with its section")]
#![allow(clippy::large_enum_variant, clippy::enum_variant_names, reason = "generated")]

include!(concat!(env!("OUT_DIR"), "/osmium.rs"));
