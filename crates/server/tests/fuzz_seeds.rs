//! The seeds of the fuzz targets, read by the functions that the targets call: a seed is never dead, a target never without
//! one, and what fuzzing found stays found. `cargo xtask fuzz` looks for more.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// The name of a target, and what it calls.
type Target = (&'static str, fn(&[u8]));

const TARGETS: [Target; 23] = [
    ("agora_message", dialect_agora::fuzzing::message),
    ("agora_path", dialect_agora::fuzzing::path),
    ("agora_query", dialect_agora::fuzzing::query),
    ("agora_token", dialect_agora::fuzzing::token),
    ("backup_point", store_disk::fuzzing::point),
    ("config", server::fuzzing::config),
    ("export_line", server::fuzzing::export_line),
    ("log_record", store_disk::fuzzing::record),
    ("log_super", store_disk::fuzzing::superblock),
    ("native_body", dialect_native::fuzzing::body),
    ("native_request", dialect_native::fuzzing::request),
    ("osmium_frame", dialect_osmium::fuzzing::frame),
    ("pubnub_body", dialect_pubnub::fuzzing::body),
    ("pubnub_filter", dialect_pubnub::fuzzing::filter),
    ("pubnub_path", dialect_pubnub::fuzzing::path),
    ("pubnub_query", dialect_pubnub::fuzzing::query),
    ("pubnub_token", dialect_pubnub::fuzzing::token),
    ("scaledrone_frames", dialect_scaledrone::fuzzing::frames),
    ("scaledrone_token", dialect_scaledrone::fuzzing::token),
    ("store_batch", store::fuzzing::batch),
    ("store_block", store::fuzzing::block),
    ("store_key", store::fuzzing::key),
    ("store_row", store::fuzzing::row),
];

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

/// The names in a folder, without what follows a dot.
fn names(folder: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(fuzz().join(folder)).expect("a folder");
    let name = |path: PathBuf| path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    entries.filter_map(|entry| name(entry.expect("an entry").path())).collect()
}

#[test]
fn every_seed_is_read_as_its_target_reads_it() {
    for (target, read) in TARGETS {
        let seeds = fs::read_dir(fuzz().join("seeds").join(target)).expect("a folder of seeds");
        let mut count = 0;
        for seed in seeds {
            let path = seed.expect("an entry").path();
            println!("{}", path.display());
            read(&fs::read(&path).expect("a seed"));
            count += 1;
        }
        assert!(count > 0, "{target} has no seed");
    }
}

#[test]
fn every_target_is_in_the_manifest_and_here() {
    let here: BTreeSet<String> = TARGETS.iter().map(|(target, _)| (*target).to_owned()).collect();
    assert_eq!(names("fuzz_targets"), here);
    assert_eq!(names("seeds"), here);
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).expect("a manifest");
    let listed = manifest.lines().filter_map(|line| line.strip_prefix("path = \"fuzz_targets/")?.strip_suffix(".rs\""));
    assert_eq!(listed.map(str::to_owned).collect::<BTreeSet<_>>(), here);
}
