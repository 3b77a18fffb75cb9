//! The program `scrollback`. What it does is in the library beside it, where tests and fuzz targets reach it too.

use std::process::ExitCode;

/// Pages are many small pieces that live for a moment, on many threads: what the system's allocator is worst at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    server::run()
}
