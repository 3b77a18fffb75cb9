//! `scrollback backup` and `scrollback restore`: points of a data folder, in a folder of backups.

use crate::{
    cli::{BackupArguments, RestoreArguments},
    clock::SystemClock,
    control,
    progress::{Progress, Unit},
    storage::{Storage, StorageOptions},
};
use anyhow::{Context, bail, ensure};
use indicatif::HumanBytes;
use model::{Clock, Id};
use std::path::Path;
use store_disk::{BackupFolder, Point, captured};

/// Takes a point, or tells or checks those that are there.
pub fn run(arguments: &BackupArguments) -> anyhow::Result<()> {
    match (&arguments.to, &arguments.list, &arguments.check) {
        (Some(to), _, _) => take(&arguments.data, to, arguments.keep),
        (_, Some(folder), _) => list(folder),
        (_, _, Some(folder)) => check(folder),
        (None, None, None) => bail!("say where to with --to, or --list or --check a folder of backups"),
    }
}

/// Restores a point to a new data folder.
pub fn restore(arguments: &RestoreArguments) -> anyhow::Result<()> {
    let id = arguments.point.map(Id::from_raw);
    let total = BackupFolder::open(&arguments.from)?.point(id)?.bytes();
    let mut progress = Progress::new("restored", Unit::Bytes, Some(total));
    let point = store_disk::restore(&arguments.from, id, &arguments.to, &mut |bytes| progress.add(bytes))?;
    drop(progress);
    let to = arguments.to.display();
    println!("{to}: the store as it was at point {}, taken {}", point.place.id, time(point.taken_ms));
    println!("serve it with: scrollback --data {to}");
    Ok(())
}

fn take(data: &Path, to: &Path, keep: Option<usize>) -> anyhow::Result<()> {
    ensure!(data.is_dir(), "there is no data folder {}", data.display());
    let held = control::capture(data)?;
    let backups = match held {
        Some(_held) => {
            let (folder, point) = captured(data)?;
            let added = add(&point, &folder, to);
            if added.is_err() && captured(data).map(|(_, now)| now).ok() != Some(point) {
                return added
                    .map(drop)
                    .context("the program ended meanwhile: the same command again goes on from here");
            }
            added?
        }
        None => {
            // Whether another program has the folder, one that does not answer, is told here.
            let storage = Storage::open(data, StorageOptions::default(), None).context("opening the data folder")?;
            storage.settle().context("reading the log")?;
            let capture = storage.capture(SystemClock::new().now_ticks())?;
            add(&capture.point, capture.folder(), to)?
        }
    };
    if let Some(count) = keep {
        let gone = backups.keep_newest(count).context("letting old points go")?;
        println!("{gone} older points are gone");
    }
    Ok(())
}

fn add(point: &Point, from: &Path, to: &Path) -> anyhow::Result<BackupFolder> {
    let backups = BackupFolder::for_store(to, point.store_id)?;
    let mut progress = Progress::new("backed up", Unit::Bytes, Some(point.bytes()));
    let added = backups.add(point, from, &mut |bytes| progress.add(bytes));
    drop(progress);
    let added = added.context("no point was added; those that were there are whole")?;
    let id = point.place.id;
    if added.was_there {
        println!("point {id}: it was there already, nothing has happened since");
        return Ok(backups);
    }
    let (files, bytes) = added.copied;
    let (shared_files, shared_bytes) = added.shared;
    println!(
        "point {id}: {} in {files} new files, {} in {shared_files} that were there",
        HumanBytes(bytes),
        HumanBytes(shared_bytes)
    );
    Ok(backups)
}

fn list(folder: &Path) -> anyhow::Result<()> {
    for point in BackupFolder::open(folder)?.points()? {
        match point.read {
            Ok((taken_ms, bytes)) => println!("{}  {}  {}", point.id, time(taken_ms), HumanBytes(bytes)),
            Err(reason) => println!("{}  {reason}", point.id),
        }
    }
    Ok(())
}

fn check(folder: &Path) -> anyhow::Result<()> {
    let backups = BackupFolder::open(folder)?;
    let mut progress = Progress::new("checked", Unit::Bytes, None);
    let findings = backups.check(&mut |bytes| progress.add(bytes))?;
    drop(progress);
    findings.iter().for_each(|finding| println!("{finding}"));
    match findings.len() {
        0 => println!("{}: {} points, nothing is wrong", folder.display(), backups.points()?.len()),
        1 => bail!("one thing is wrong with {}", folder.display()),
        count => bail!("{count} things are wrong with {}", folder.display()),
    }
    Ok(())
}

/// For people.
fn time(unix_ms: u64) -> String {
    let time = i64::try_from(unix_ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    time.map_or_else(|| format!("{unix_ms} ms"), |time| format!("{time:.0}"))
}
