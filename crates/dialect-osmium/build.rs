//! Compiles the schema in `proto/` with `protox`, so that building needs no `protoc`.

use std::{error::Error, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let schema =
        protox::compile([Path::new("proto/osmium.proto"), Path::new("proto/stored.proto")], [Path::new("proto")])?;
    prost_build::Config::new().compile_fds(schema)?;
    Ok(())
}
