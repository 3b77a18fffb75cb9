//! Measures an append of the log against a bare write and sync of the same bytes into a filled file.
//!
//! `cargo run --release -p store-disk --example append [FOLDER]`

use bytes::Bytes;
use std::{
    fs::File,
    os::unix::fs::FileExt,
    path::Path,
    time::{Duration, Instant},
};
use store::device::{Log, LogRecord};
use store_disk::{FileLog, FileLogSettings};

const ROUNDS: usize = 2000;

fn main() {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "scrollback-append".into());
    let folder = Path::new(&folder);
    std::fs::create_dir_all(folder).expect("a folder to measure in");
    let started = Instant::now();
    let mut log = FileLog::open(folder, folder, 1, true, FileLogSettings::default()).expect("the log opens");
    log.replay(0, &mut |_| Ok(())).expect("the log can be replayed");
    log.rewrite(&mut std::iter::empty()).expect("the log can be rewritten");
    println!("first start: {:?}", started.elapsed());
    let bare = File::options().read(true).write(true).create(true).truncate(true).open(folder.join("bare"));
    let bare = bare.expect("a file beside the log");
    bare.write_all_at(&vec![0; 64 << 20], 0).expect("the file can be filled");
    bare.sync_all().expect("the file can be synced");
    let mut batch = 0;
    // One round to let the background finish making segments; it is not reported.
    for (report, bytes) in [(false, 20 << 10), (true, 256), (true, 4 << 10), (true, 20 << 10), (true, 256 << 10)] {
        let (mut appends, mut writes) = (Vec::new(), Vec::new());
        let padded = vec![7; (bytes + 71) / 511 * 512 + 512];
        for round in 0..ROUNDS {
            let offset = (round * padded.len()) % ((64 << 20) - padded.len()) / 512 * 512;
            writes.push(timed(|| {
                bare.write_all_at(&padded, offset as u64).expect("the write succeeds");
                bare.sync_data().expect("the sync succeeds");
            }));
            batch += 1;
            let body = Bytes::from(vec![batch as u8; bytes]);
            let record = LogRecord { batch, epoch: 1, reserved: 0, changes: 1, body };
            appends.push(timed(|| log.append(&record).expect("the append succeeds")));
            log.free(batch - 1);
        }
        if report {
            println!("{bytes:>7} B: append {}   bare {}", percentiles(appends), percentiles(writes));
        }
    }
}

fn timed(work: impl FnOnce()) -> Duration {
    let started = Instant::now();
    work();
    started.elapsed()
}

fn percentiles(mut times: Vec<Duration>) -> String {
    times.sort();
    let at = |part: usize| times[times.len() * part / 1000];
    format!("p50 {:>8.1?} p99 {:>8.1?} p99.9 {:>8.1?}", at(500), at(990), at(999))
}
