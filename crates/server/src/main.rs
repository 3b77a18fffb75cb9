//! The program `scrollback`.

fn main() {}
